package compose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// fuzzed holds FuzzMessage to one operation, so that each builder can be given
// the same time.
var fuzzed = flag.String("fuzz-operation", "", "the only operation that FuzzMessage tries")

// FuzzMessage feeds any bytes as a message of any operation: it is refused
// with a Fault whose path is safe, or the bytes that leave are sound.
func FuzzMessage(f *testing.F) {
	table := compose.Operations()
	if *fuzzed != "" {
		op, ok := compose.Lookup(*fuzzed)
		if !ok {
			f.Fatalf("no operation %s", *fuzzed)
		}
		table = []compose.Operation{op}
	}
	for i, op := range table {
		for _, c := range goldenCases(f, op.Name) {
			f.Add(uint8(i), []byte(c.job.Message), uint8(len(c.files)))
		}
		b := bases()[op.Name]
		f.Add(uint8(i), []byte(b.message), uint8(b.files))
		for seed := range uint64(5) {
			f.Add(uint8(i), randomMessage(seed, b.message), uint8(b.files))
		}
	}
	f.Fuzz(func(t *testing.T, operation uint8, message []byte, files uint8) {
		checkSound(t, table[int(operation)%len(table)], message, int(files%11))
	})
}

// TestCallerSurvives composes messages with random members at every level.
func TestCallerSurvives(t *testing.T) {
	for _, op := range compose.Operations() {
		b, ok := bases()[op.Name]
		if !ok {
			t.Fatalf("no base message for %s", op.Name)
		}
		for seed := range uint64(20) {
			if !checkSound(t, op, randomMessage(seed, b.message), b.files) {
				t.Fatalf("%s, seed %d: a message with unknown members is refused", op.Name, seed)
			}
		}
	}
}

// TestGoldenSurvives does the same with the golden messages as they are.
func TestGoldenSurvives(t *testing.T) {
	for _, op := range compose.Operations() {
		for _, c := range goldenCases(t, op.Name) {
			m := mustCompose(t, c.job, c.attachments(t, false))
			checkSurvived(t, op.API, c.job.Message, readBody(t, m, c.open))
		}
	}
}

var safePath = regexp.MustCompile(`^(/([0-9]+|\*|_?[A-Za-z][A-Za-z0-9]{0,63}|requested_at|content_type))*$`)

// checkSound tells whether the message was accepted.
func checkSound(t *testing.T, op compose.Operation, message []byte, count int) bool {
	t.Helper()
	job, _ := baseOf(t, op.Name)
	job.Message, job.Files = message, make([]schemas.File, count)
	var files []compose.Attachment
	var bodies []string
	for i := range count {
		body := strings.Repeat("x", 1+i*7)
		a := compose.Attachment{ContentType: "application/pdf", Title: "t", Size: int64(len(body))}
		if i%2 == 1 {
			a.URL = "https://blob.redoxengine.com/1"
		}
		files, bodies = append(files, a), append(bodies, body)
	}
	input := bytes.Clone(message)
	checked := compose.Check(job)
	m, err := compose.Compose(job, files)
	if !bytes.Equal(input, message) {
		t.Fatal("the caller's bytes were changed in place")
	}
	if (checked == nil) != (err == nil) {
		t.Fatalf("Check says %v, Compose %v", checked, err)
	}
	if err != nil {
		if f, ok := errors.AsType[*fault.Fault](err); !ok || !safePath.MatchString(f.Path) {
			t.Fatalf("%v", err)
		}
		return false
	}
	got := readBody(t, m, func(_ context.Context, i int) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(bodies[i])), nil
	})
	if !jsontext.Value(got).IsValid() {
		t.Fatalf("the message is no valid JSON:\n%s", got)
	}
	again, err := compose.Compose(job, files)
	if err != nil || !slices.EqualFunc(m.Parts(), again.Parts(), func(a, b compose.Part) bool {
		return a.File == b.File && bytes.Equal(a.Literal, b.Literal)
	}) {
		t.Fatal("a second message of the same job differs")
	}
	checkSurvived(t, op.API, message, got)
	if op.API == compose.FHIR {
		checkLinks(t, got)
	}
	return true
}

// checkSurvived compares what the caller gave with what leaves.
func checkSurvived(t *testing.T, api compose.API, message, sent []byte) {
	t.Helper()
	in, out := readTree(t, message), readTree(t, sent)
	if api == compose.DataModel {
		survives(t, in, out, "", addedToModel)
		return
	}
	entries := out.member("entry").elems
	resources := []*tree{in.member("header"), in.member("patient"), in.member("resource")}
	if e := in.member("entries"); e != nil {
		resources = append(resources, e.elems...)
	}
	if len(entries) != len(resources) {
		t.Fatalf("%d entries for %d resources", len(entries), len(resources))
	}
	for i, r := range resources {
		var added map[string]string
		if i == 0 || i == 2 {
			added = addedToResource
		}
		if r != nil {
			survives(t, r, entries[i].member("resource"), "", added)
		}
	}
}

// The members that compose may put at the end of the object under a key; "" is
// the top.
var (
	addedToResource = map[string]string{
		"":       " resourceType eventUri source focus masterIdentifier identifier subject context encounter content presentedForm extension ",
		"source": " endpoint ", "context": " encounter ", "content": " attachment ", "attachment": attachmentMembers,
		"presentedForm": attachmentMembers, "valueAttachment": attachmentMembers, "extension": " valueAttachment ",
	}
	addedToModel = map[string]string{
		"": " Meta ", "Meta": " DataModel EventType EventDateTime Source Destinations ", "Source": " ID ", "Destinations": " ID Name ",
		"Note": " DocumentID ContentType FileName FileType FileContents ", "Media": " DocumentID FileName FileType FileContents ",
		"Results": " ValueType FileType Value ",
	}
)

const attachmentMembers = " contentType title size hash url data "

// survives allows new members only at the end, and one more extension.
func survives(t *testing.T, in, out *tree, key string, added map[string]string) {
	t.Helper()
	if key == "reference" && in.kind == '"' && out.kind == '"' && added["Meta"] == "" {
		return // checkLinks looks at it
	}
	grown := len(out.elems) - len(in.elems)
	may := grown == 0 || in.kind == '{' && grown > 0 || in.kind == '[' && grown == 1 && key == "extension" && added[key] != ""
	if in.kind != out.kind || in.raw != out.raw || !may {
		t.Fatalf("the value of %q changed from %s to %s", key, in.raw, out.raw)
	}
	for i := range in.elems {
		name := key
		if in.kind == '{' {
			if name = in.names[i]; name != out.names[i] {
				t.Fatalf("member %q became %q", name, out.names[i])
			}
		}
		survives(t, in.elems[i], out.elems[i], strings.Trim(name, `"`), added)
	}
	if in.kind != '{' {
		return
	}
	for _, name := range out.names[len(in.names):] {
		if !strings.Contains(added[key], " "+strings.Trim(name, `"`)+" ") {
			t.Fatalf("member %s was added below %q", name, key)
		}
	}
}

// checkLinks looks at the message as a receiver: fullUrls are unique, and each
// reference leads to one or out of the message.
func checkLinks(t *testing.T, bundle []byte) {
	var b struct {
		Entry []struct {
			FullURL  string
			Resource any
		}
	}
	dec := json.NewDecoder(bytes.NewReader(bundle))
	dec.UseNumber()
	if err := dec.Decode(&b); err != nil {
		t.Fatal(err)
	}
	urls := map[string]bool{}
	for _, e := range b.Entry {
		if urls[e.FullURL] || !strings.HasPrefix(e.FullURL, "urn:uuid:") {
			t.Fatalf("fullUrl %q is not unique or no UUID", e.FullURL)
		}
		urls[e.FullURL] = true
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for k, e := range v {
				s, ok := e.(string)
				if k == "reference" && ok && !urls[s] && !strings.HasPrefix(s, "#") && !strings.HasPrefix(strings.ToLower(s), "http") {
					t.Fatalf("reference %q leads nowhere", s)
				}
				walk(e)
			}
		}
	}
	for _, e := range b.Entry {
		walk(e.Resource)
	}
}

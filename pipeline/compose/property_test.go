package compose_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
)

// FuzzMessage feeds any bytes as a message: it is refused with a Fault whose
// path is safe, or the bytes that leave are sound.
func FuzzMessage(f *testing.F) {
	for _, c := range goldenCases(f, "documentreference-create") {
		f.Add([]byte(c.job.Message), uint8(len(c.files)))
	}
	f.Add([]byte(baseMessage), uint8(2))
	for seed := range uint64(20) {
		f.Add(randomMessage(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, message []byte, files uint8) {
		checkSound(t, message, int(files%11))
	})
}

// TestCallerSurvives composes messages with random members at every level.
func TestCallerSurvives(t *testing.T) {
	for seed := range uint64(400) {
		if !checkSound(t, randomMessage(seed), 2) {
			t.Fatalf("seed %d: a message with unknown members is refused", seed)
		}
	}
}

var safePath = regexp.MustCompile(`^(/([0-9]+|\*|_?[a-z][A-Za-z0-9]{0,63}|requested_at))*$`)

// checkSound tells whether the message was accepted.
func checkSound(t *testing.T, message []byte, count int) bool {
	job := baseJob()
	job.Message = message
	job.Files = job.Files[:0]
	var files []compose.Attachment
	var bodies []string
	for i := range count {
		job.Files = append(job.Files, baseJob().Files[0])
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
	checkSurvived(t, message, got)
	checkLinks(t, got)
	return true
}

// checkSurvived compares what the caller gave with what leaves.
func checkSurvived(t *testing.T, message, bundle []byte) {
	in, out := readTree(t, message), readTree(t, bundle)
	entries := out.member("entry").elems
	resources := []*tree{in.member("header"), in.member("patient"), in.member("resource")}
	if e := in.member("entries"); e != nil {
		resources = append(resources, e.elems...)
	}
	if len(entries) != len(resources) {
		t.Fatalf("%d entries for %d resources", len(entries), len(resources))
	}
	for i, r := range resources {
		if r != nil {
			survives(t, r, entries[i].member("resource"), "", i == 0 || i == 2)
		}
	}
}

// added are the members that compose may put at the end of an object.
var added = []string{
	"resourceType", "eventUri", "source", "endpoint", "focus", "masterIdentifier", "subject", "context", "encounter",
	"content", "attachment", "contentType", "title", "size", "hash", "url", "data",
}

func survives(t *testing.T, in, out *tree, key string, mayGrow bool) {
	if key == "reference" && in.kind == '"' && out.kind == '"' {
		return // checkLinks looks at it
	}
	grown := in.kind == '{' && len(out.elems) > len(in.elems)
	if in.kind != out.kind || in.raw != out.raw || len(in.elems) != len(out.elems) && !grown {
		t.Fatalf("the value of %q changed from %s to %s", key, in.raw, out.raw)
	}
	for i := range in.elems {
		name := key
		if in.kind == '{' {
			if name = in.names[i]; name != out.names[i] {
				t.Fatalf("member %q became %q", name, out.names[i])
			}
		}
		survives(t, in.elems[i], out.elems[i], strings.Trim(name, `"`), mayGrow)
	}
	if !grown {
		return
	}
	for _, name := range out.names[len(in.names):] {
		if !mayGrow || !slices.Contains(added, strings.Trim(name, `"`)) {
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

// tree is JSON read by a reader of the tests' own. Only scalars have raw.
type tree struct {
	kind  jsontext.Kind
	raw   string
	names []string
	elems []*tree
}

func readTree(t *testing.T, raw []byte) *tree {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	var read func() *tree
	read = func() *tree {
		n := &tree{kind: dec.PeekKind()}
		if n.kind != '{' && n.kind != '[' {
			v, err := dec.ReadValue()
			if err != nil {
				t.Fatal(err)
			}
			n.raw = string(v)
			return n
		}
		dec.ReadToken()
		for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
			if n.kind == '{' {
				name, err := dec.ReadValue()
				if err != nil {
					t.Fatal(err)
				}
				n.names = append(n.names, string(name))
			}
			n.elems = append(n.elems, read())
		}
		dec.ReadToken()
		return n
	}
	return read()
}

func (n *tree) member(name string) *tree {
	if n == nil {
		return nil
	}
	for i, k := range n.names {
		if u, _ := jsontext.AppendUnquote(nil, k); string(u) == name {
			return n.elems[i]
		}
	}
	return nil
}

// randomMessage is the base message with members of chance in every object.
func randomMessage(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	depth := 0
	for i := 0; i < len(baseMessage); i++ {
		b.WriteByte(baseMessage[i])
		if baseMessage[i] == '{' {
			if depth > 0 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, "%s%s:%s,", space(r), randomKey(r, i), randomValue(r, 4))
			}
			depth++
		}
	}
	return []byte(strings.ReplaceAll(b.String(), ",}", "}"))
}

func space(r *rand.Rand) string { return []string{"", " ", "\n\t", "\r\n  "}[r.IntN(4)] }

func randomKey(r *rand.Rand, i int) string {
	return fmt.Sprintf(`"%s%d_%d"`, []string{"x", "_birthDate", "\\u0041<&>", "é", "{[", "reference\\\""}[r.IntN(6)], i, r.IntN(1000))
}

func randomValue(r *rand.Rand, depth int) string {
	scalars := []string{`null`, `true`, `1.10`, `-0.0`, `1E+400`, `123456789012345678901234567890`, `""`, `"<>&\u2028\/"`, `"  , : \" "`, `"\ud83d\ude00 😀"`,
		`{"reference":"Patient/p1"}`, `{"reference" : "https://x.example/?a=<b>&c"}`, `{"reference":{"reference":"Encounter/e1/_history/2"}}`, `{"reference":17}`}
	if depth == 0 || r.IntN(3) == 0 {
		return space(r) + scalars[r.IntN(len(scalars))] + space(r)
	}
	var elems []string
	object := r.IntN(2) == 0
	for i := range r.IntN(4) {
		v := randomValue(r, depth-1)
		if object {
			v = randomKey(r, i) + space(r) + ":" + v
		}
		elems = append(elems, v)
	}
	if object {
		return "{" + strings.Join(elems, ",") + space(r) + "}"
	}
	return "[" + space(r) + strings.Join(elems, ",") + "]"
}

func benchmarkInput(b *testing.B, name string) (goldenCase, []compose.Attachment) {
	for _, c := range goldenCases(b, "documentreference-create") {
		if strings.HasSuffix(c.dir, name) {
			return c, c.attachments(b, true)
		}
	}
	b.Fatal("no such case")
	return goldenCase{}, nil
}

func BenchmarkCompose(b *testing.B) {
	for _, name := range []string{"minimal", "entries-and-references"} {
		b.Run(name, func(b *testing.B) {
			c, files := benchmarkInput(b, name)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := compose.Compose(c.job, files); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBody(b *testing.B) {
	for _, size := range []int{100 << 10, 30_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			file := bytes.Repeat([]byte("0123456789"), size/10)
			files := baseFiles()
			files[0].Size = int64(len(file))
			m := mustCompose(b, baseJob(), files)
			buf := make([]byte, 32<<10) // what net/http copies with
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				r := compose.Body(context.Background(), m, func(context.Context, int) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(file)), nil
				})
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf)
				if err != nil || n != m.Size() {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("NewEncoder", func(b *testing.B) {
		file := make([]byte, 30_000_000)
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			r, w := io.Pipe()
			go func() {
				e := base64.NewEncoder(base64.StdEncoding, w)
				io.Copy(e, bytes.NewReader(file))
				e.Close()
				w.Close()
			}()
			io.Copy(io.Discard, r)
		}
	})
}

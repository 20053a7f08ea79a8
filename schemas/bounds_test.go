package schemas

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestBoundsAreTheSchemas puts every value of a list of bounds in the place of every
// value and key of every example. A job is read where the schema's library, which sees
// the whole of it, and the rules beside the schema take it, and nowhere else.
func TestBoundsAreTheSchemas(t *testing.T) {
	tried, taken := 0, 0
	for _, name := range fixtures(t, "job-invalid/*.json") {
		checkBound(t, read(t, name))
	}
	for pattern, skip := range map[string][]string{
		"job/documentreference-create.json": nil,
		// No rule of these depends on the operation.
		"job/notes-new.json": {"source_id", "files", "transfer", "requested_at", "expires_at", "correlation"},
	} {
		for _, name := range fixtures(t, pattern) {
			data := read(t, name)
			checkBound(t, data)
			var doc any
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			replace(doc, 4, skip, func() {
				changed, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				tried++
				if checkBound(t, changed) {
					taken++
				}
			})
		}
	}
	if tried < 3_000 || taken < 300 {
		t.Errorf("%d jobs were tried and %d of them were valid", tried, taken)
	}
}

// checkBound reports whether a job was read, and whether it should have been.
func checkBound(t *testing.T, data []byte) (taken bool) {
	t.Helper()
	job, err := DecodeJob(data)
	doc, bad := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	object, _ := doc.(map[string]any)
	explained := jobContract().problems(data, jobRules)
	want := bad == nil && jobContract().root.Validate(doc) == nil && len(jobRules(object)) == 0
	if len(explained) == 0 != (err == nil) {
		t.Fatalf("read without an error: %t, and %d problems were found\n%s", err == nil, len(explained), data)
	}
	if err == nil && !want {
		t.Fatalf("read as %+v, against the schema\n%s", job, data)
	}
	if err != nil && want && len(explained) == 0 {
		t.Fatalf("%v, although the schema takes it\n%s", err, data)
	}
	return err == nil
}

// bounds are strings at and beside the bounds of some field, and values that
// are no strings.
func bounds() []any {
	x := strings.Repeat
	all := []any{nil, true, 0, 1.5, map[string]any{}, []any{}, []any{"a"}, map[string]any{"resourceType": "Patient"}, []any{map[string]any{"resourceType": "A"}}}
	for _, s := range []string{
		"", "a", "A", "a b", "a/b", `a\b`, "a\x00", "a\x7f", "a\u0085", "é", ".a", "a.", "a-b.c", "-ab", "ab-", "a~_b", "Patient", "MessageHeader",
		"DocumentReference", "DiagnosticReport", "Observation", "auto", "embed", "Staging", "Production", "notes-new", "observation-create",
		"application/pdf", "application/", "/pdf", "a/b/c", "a/-b", "a/b;c=d", "a/b+c", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5bd9cb469fa16570867728950e",
		"0f8fad5b-d9cb-469f-a165-70867728950g", "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00.123+01:00",
		"2026-11-20t10:00:00z", "1999-12-31T23:59:59Z", "2026-02-30T10:00:00Z", "2999-12-31T23:59:59Z", "2026-11-20T23:59:60Z", "2026-11-20T10:00:00,5Z", "2026-11-20T1:00:00Z", "2026-11-20T10:00:00+24:00", "2026-11-20T10:00:00+01:60", "2026-11-20T10:00:00-23:59", "29999-01-01T00:00:00Z",
		x("a", 62), x("a", 63), x("a", 64), x("A", 64), x("f", 64), x("A", 65), x("a", 128), x("a", 129), x("é", 127), x("é", 255), x("é", 256),
		x("a", 255), x("a", 256), x("a", 1024), x("a", 1025), x("é", 512), x("é", 513), "a/" + x("b", 253), "a/" + x("b", 254),
	} {
		all = append(all, s)
	}
	return all
}

// replace goes down as many levels as the schema looks at, but not where it is
// told to skip a name.
func replace(v any, levels int, skip []string, try func()) {
	if levels == 0 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, old := range v {
			if slices.Contains(skip, name) {
				continue
			}
			for _, b := range bounds() {
				v[name] = b
				try()
			}
			delete(v, name)
			try()
			v[name] = old
			replace(old, levels-1, nil, try)
		}
		for _, name := range []string{"id", "slug", "name", "resourceType", "header", "x"} {
			if _, there := v[name]; !there {
				v[name] = "Patient"
				try()
				delete(v, name)
			}
		}
	case []any:
		for i, old := range v {
			for _, b := range bounds() {
				v[i] = b
				try()
			}
			v[i] = old
			replace(old, levels-1, nil, try)
		}
	}
}

package manifest

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

const jobTemplate = `
id: "{{ .id }}"
operation: '{{ .operation | default "documentreference-create" }}'
destination: {slug: "{{ .slug }}", environment: '{{ .env | default "Development" }}'}
source_id: "{{ .source | omitempty }}"
files: [{bucket: archive, key: "{{ .key }}", title: "{{ .title | omitempty }}", sha256: "{{ .sum | omitempty }}"}]
message:
  patient: {resourceType: Patient, name: [{family: "{{ .last | omitempty }}"}], multipleBirthInteger: "{{ .n | number | omitempty }}"}
  resource: {resourceType: DocumentReference, status: current}
requested_at: "{{ .requested | omitempty }}"
correlation: {tenant: "{{ .tenant | omitempty }}"}
`

var jobColumns = []string{"id", "operation", "slug", "env", "source", "key", "title", "sum", "last", "n", "requested", "tenant"}

// line makes the job of one line of CSV.
func line(t testing.TB, values map[string]string, run Run) Line {
	t.Helper()
	row := make([]string, len(jobColumns))
	for i, name := range jobColumns {
		row[i] = map[string]string{"id": "a-1", "slug": "good-health", "key": "a.pdf"}[name]
		if v, ok := values[name]; ok {
			row[i] = v
		}
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll([][]string{jobColumns, row}); err != nil {
		t.Fatal(err)
	}
	return made(t, jobTemplate, b.String(), run)[0]
}

func told(l Line) string {
	var all []string
	for _, f := range l.Faults {
		all = append(all, strings.TrimSpace(f.Code+" "+f.Column+" "+f.Path))
	}
	return strings.Join(all, "|")
}

func TestLine(t *testing.T) {
	whole := line(t, nil, Run{})
	if len(whole.Faults) > 0 {
		t.Fatal(whole.Faults)
	}
	job := whole.Job
	if !job.RequestedAt.Equal(started) || !job.ExpiresAt.Equal(started.Add(24*time.Hour)) || job.SourceID != "" || job.Correlation != nil || job.Files[0].Title != "" {
		t.Errorf("%+v", job)
	}
	if whole.Number != 2 || whole.Next.Line != 3 || whole.Lane() != (schemas.Lane{Class: schemas.Backfill, Destination: "good-health"}) {
		t.Errorf("%+v", whole)
	}
	if old := line(t, map[string]string{"requested": "2019-01-01T00:00:00Z"}, Run{}); len(old.Faults) > 0 || old.Job.RequestedAt.Year() != 2019 {
		t.Errorf("%+v", old)
	}
	for _, c := range []struct {
		name, value, want string
	}{
		{"id", "", "empty id /id"},
		{"id", "a b", "pattern id /id"},
		{"id", strings.Repeat("a", 129), "too_long id /id"},
		{"operation", "nope", "enum operation /operation"},
		{"env", "Test", "enum env /destination/environment"},
		{"source", "7", "format source /source_id"},
		{"title", "a/b", "pattern title /files/0/title"},
		{"sum", "ab", "pattern sum /files/0/sha256"},
		{"n", "x", "not_a_number n /message/patient/multipleBirthInteger"},
		{"requested", "2019-01-01", "format requested /requested_at"},
		{"tenant", strings.Repeat("a", 1025), "too_large  /correlation|too_long tenant /correlation/*"},
	} {
		if got := told(line(t, map[string]string{c.name: c.value}, Run{})); got != c.want && c.name != "tenant" || got == "" {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestCheckAndSize(t *testing.T) {
	run := Run{StartedAt: started, ExpiresAfter: time.Hour, SizeColumn: "n", Check: func(j schemas.Job) error {
		if j.ID == "a-1" {
			return nil
		}
		return &fault.Fault{Code: "element_missing", Path: "/files/0/key", Text: "is missing"}
	}}
	for _, c := range []struct {
		id, size, want string
		bytes          int64
	}{
		{"a-1", "", "", -1}, {"a-1", "0", "", 0}, {"a-1", "17", "", 17},
		{"a-1", "-1", "not_a_size n", -1}, {"a-1", "1.5", "not_a_size n", -1}, {"b", "1", "element_missing key /files/0/key", 1},
	} {
		if got := line(t, map[string]string{"id": c.id, "n": c.size}, run); told(got) != c.want || got.Size != c.bytes {
			t.Errorf("%s %s: %s, %d", c.id, c.size, told(got), got.Size)
		}
	}
}

// TestJobsOfTheirOwn: without a template each line is a job.
func TestJobsOfTheirOwn(t *testing.T) {
	const job = `{"id":"a","operation":"documentreference-create","destination":{"slug":"b","environment":"Staging"},"files":[{"bucket":"archive","key":"k"}],"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}`
	text := job + "}\n" + job + `,"requested_at":"2019-01-01T00:00:00Z","expires_at":"2020-01-01T00:00:00Z"} ` + "\n" + job + `,"x":1}` + "\n{}\n[1]\n" + job + "\n" + job + ",}\n"
	r, err := NewReader(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := NewRecipe(nil, r, Run{StartedAt: started, ExpiresAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	lines := read(t, r, recipe)
	want := []string{"", "", "unknown_field  /*", "required", "type", "not_json", "not_json"}
	for i, l := range lines {
		if got := told(l); !strings.HasPrefix(got, want[i]) || (got == "") != (want[i] == "") {
			t.Errorf("line %d: %s", l.Number, got)
		}
	}
	if !lines[0].Job.RequestedAt.Equal(started) || !lines[0].Job.ExpiresAt.Equal(started.Add(time.Hour)) || lines[1].Job.ExpiresAt.Year() != 2020 || len(lines) != len(want) {
		t.Errorf("%+v", lines)
	}
	r, _ = NewReader(strings.NewReader("a\n1\n"), Options{})
	if _, err := NewRecipe(nil, r, Run{}); err == nil {
		t.Error("a CSV manifest without a template")
	}
}

// TestUnusedColumns: what the template does not name may hold what it likes.
func TestUnusedColumns(t *testing.T) {
	lines := made(t, `id: "{{ .a }}"`, "{\"a\":\"x\",\"b\":[1]}\n{\"b\":[{}],\"c\":{\"d\":[]},\"a\":\"y\"}\n{\"a\":[1]}\n", Run{})
	for i, want := range []string{"required", "required", "not_single"} {
		if got := lines[i].Faults[0].Code; got != want {
			t.Errorf("line %d: %s, want %s", i+1, got, want)
		}
	}
}

// hostile are values that would break out of JSON, or into a report.
var hostile = []string{
	"", "a", `"`, `\`, `","id":"x`, "\n", "\r\n", "\x00", "\u2028", "{{ .id }}", "é", "😀", "Zebedee", "Zebedee 471100815", "null", "1", "-0", "1e999", "true",
	"2019-01-01T00:00:00Z", strings.Repeat("Zebedee ", 200), "</script>", "good-health", "~/~1/*", "0f8fad5b-d9cb-469f-a165-70867728950e",
}

// TestEveryLineIsProven: a line without a fault is a job, one with a fault is
// none, values arrive as they are, and no fault quotes one.
func TestEveryLineIsProven(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	w := csv.NewWriter(&b)
	rows := [][]string{jobColumns}
	for range 900 {
		row := []string{"a-1", "", "good-health", "", "", "a.pdf", "", "", "", "", "", ""}
		for range random.IntN(4) {
			row[random.IntN(len(row))] = hostile[random.IntN(len(hostile))]
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	lines := made(t, jobTemplate, b.String(), Run{})
	if len(lines) != len(rows)-1 {
		t.Fatalf("%d lines", len(lines))
	}
	valid := 0
	for i, l := range lines {
		row := rows[i+1]
		for _, f := range l.Faults {
			if said := fmt.Sprintf("%v %+v %s", &f, f, told(l)); strings.Contains(said, "Zebedee") || strings.Contains(said, "471100815") {
				t.Fatalf("%s", said)
			}
		}
		if l.Data == nil {
			t.Fatalf("%v", l.Faults)
		}
		var doc struct {
			Files   []struct{ Key string }
			Message struct {
				Patient struct{ Name []struct{ Family string } }
			}
		}
		if len(l.Faults) > 0 {
			job, err := schemas.DecodeJob(l.Data)
			if err == nil && !strings.HasPrefix(l.Faults[0].Code, "empty") && !strings.HasPrefix(l.Faults[0].Code, "not_") {
				t.Fatalf("%v, and yet %+v", l.Faults, job)
			}
			continue
		}
		valid++
		if _, err := schemas.DecodeJob(l.Data); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(l.Data, &doc); err != nil {
			t.Fatal(err)
		}
		family := ""
		if names := doc.Message.Patient.Name; len(names) > 0 {
			family = names[0].Family
		}
		if doc.Files[0].Key != row[5] || family != row[8] {
			t.Fatalf("%q became %+v", row, doc)
		}
	}
	if valid < 90 || valid > 810 {
		t.Errorf("%d lines are valid", valid)
	}
}

// TestEachStops: neither an early end nor a cancelled context leaves a
// goroutine behind or looks like the end of the manifest.
func TestEachStops(t *testing.T) {
	text := "a\n" + strings.Repeat("1\n", 10_000)
	open := func() (*Reader, *Recipe) {
		parsed, err := ParseTemplate([]byte(`id: "{{ .a }}"`))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		recipe, err := NewRecipe(parsed, r, Run{})
		if err != nil {
			t.Fatal(err)
		}
		return r, recipe
	}
	r, recipe := open()
	for range Each(t.Context(), r, recipe, 3, func(l Line) int64 { return l.Number }) {
		break
	}
	r, recipe = open()
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	why := errors.New("enough")
	var last error
	var numbers []int64
	for n, err := range Each(ctx, r, recipe, 3, func(l Line) int64 { return l.Number }) {
		if last = err; err == nil {
			numbers = append(numbers, n)
		}
		if n == 1000 {
			stop(why)
		}
	}
	if !errors.Is(last, why) || !slices.IsSorted(numbers) || len(numbers) < 999 || len(numbers) == 10_000 {
		t.Errorf("%v after %d lines", last, len(numbers))
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{jobTemplate, `x: '{{ .id | map "a" "b" | date "2006" "06" | default "x" }}'`, `{"a":["{{ id .id .slug }}", 1.0, null]}`, "a: !!binary x", "? [a]\n: b", "&x {a: *x}", "<<: {a: 1}", `x: "{{ ((.id)) }}"`} {
		for _, value := range hostile[:10] {
			f.Add(s, value)
		}
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		parsed, err := ParseTemplate([]byte(template))
		if err != nil {
			return
		}
		quoted, _ := json.Marshal(map[string]string{"id": value, "slug": "Zebedee "})
		r, err := NewReader(strings.NewReader(string(quoted)), Options{Columns: jobColumns})
		if err != nil {
			t.Fatal(err)
		}
		recipe, err := NewRecipe(parsed, r, Run{StartedAt: started, ExpiresAfter: time.Hour})
		if err != nil {
			return
		}
		record, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		l := recipe.Maker().Make(record)
		if len(l.Faults) == 0 || !slices.ContainsFunc(l.Faults, func(f Fault) bool { return strings.HasPrefix(f.Code, "not_") || f.Code == "empty" }) {
			if !json.Valid(l.Data) {
				t.Fatalf("%s of %s", l.Data, template)
			}
		}
		for _, f := range l.Faults {
			if !strings.Contains(template, "Zebedee") && strings.Contains(f.Error(), "Zebedee") {
				t.Fatal(f)
			}
		}
	})
}

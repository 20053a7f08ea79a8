package manifest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

var started = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// made gives the lines of a manifest under a template.
func made(t testing.TB, template, manifest string, run Run) []Line {
	t.Helper()
	parsed, err := ParseTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(strings.NewReader(manifest), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.StartedAt.IsZero() {
		run.StartedAt, run.ExpiresAfter = started, 24*time.Hour
	}
	recipe, err := NewRecipe(parsed, r, run)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, r, recipe)
}

func read(t testing.TB, r *Reader, recipe *Recipe) (lines []Line) {
	t.Helper()
	keep := func(l Line) Line { l.Data = slices.Clone(l.Data); return l }
	for line, err := range Each(t.Context(), r, recipe, 2, keep) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// rendered is what a template makes of one value of the column a, before
// anything judges it.
func rendered(t *testing.T, template, value string) string {
	t.Helper()
	quoted, err := json.Marshal(map[string]string{"a": value, "b b": "B", "c": ""})
	if err != nil {
		t.Fatal(err)
	}
	line := made(t, template, string(quoted), Run{})[0]
	var codes []string
	for _, f := range line.Faults {
		// Those of the schema are not this test's.
		if f.Code == "empty" || strings.HasPrefix(f.Code, "not_") {
			codes = append(codes, f.Code+" "+f.Column+" "+f.Path)
		}
	}
	if len(codes) > 0 {
		return strings.Join(codes, "|")
	}
	data, _, _ := strings.Cut(string(line.Data), `,"requested_at"`)
	return strings.TrimPrefix(data, "{")
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct{ template, value, want string }{
		{`x: "{{ .a }}"`, "v", `"x":"v"`},
		{`x: "{{ .a }}"`, `","y":"z\`, `"x":"\",\"y\":\"z\\"`},
		{`x: "{{ .a }}"`, "\n\x00\u2028</script>é😀", "\"x\":\"\\n\\u0000\u2028</script>é😀\""},
		{`x: "{{ .a }}"`, "{{ .a }}", `"x":"{{ .a }}"`},
		{`x: "a-{{ .a }}-{{ col "b b" }}"`, "v", ""},
		{`x: 'a-{{ .a }}-{{ col "b b" }}'`, "v", `"x":"a-v-B"`},
		{`x: "{{ .a }}"`, "", `empty a /x`},
		{`x: "a{{ .a }}"`, "", `empty a /x`},
		{`x: {y: ["p", {z/~: "{{ .a }}"}]}`, "", `empty a /x/y/1/z~1~0`},
		{`x: '{{ .a | default "d" }}'`, "", `"x":"d"`},
		{`x: '{{ .a | default "d" }}'`, "v", `"x":"v"`},
		{`x: '{{ default "d" .a }}'`, "", `"x":"d"`},
		{`x: '{{ .a | lower }} {{ .a | upper }} {{ upper .a }}'`, "Ä b", `"x":"ä b Ä B Ä B"`},
		{`x: '{{ .a | trim }}'`, " v\t", `"x":"v"`},
		{`x: '{{ .a | trim }}'`, " ", `empty a /x`},
		{`x: '{{ .a | base }}'`, "2019/v.pdf", `"x":"v.pdf"`},
		{`x: '{{ .a | part "/" "1" }}'`, "2019/v.pdf", `"x":"2019"`},
		{`x: '{{ .a | part "/" "-1" | part "." "1" }}'`, "2019/v.pdf", `"x":"v"`},
		{`x: '{{ .a | part "/" "3" | default "none" }}'`, "2019/v.pdf", `"x":"none"`},
		{`x: '{{ .a | sha256 }}'`, "abc", `"x":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
		{`x: '{{ .a | map "M" "male" "F" "female" }}'`, "F", `"x":"female"`},
		{`x: '{{ .a | map "M" "male" "F" "female" }}'`, "f", `not_mapped a /x`},
		{`x: '{{ .a | map "M" "male" "*" "other" }}'`, "f", `"x":"other"`},
		{`x: '{{ .a | map "M" "male" "*" "other" }}'`, "", `empty a /x`},
		{`x: '{{ .a | map "" "none" }}'`, "", `"x":"none"`},
		{`x: '{{ .a | date "20060102" "2006-01-02" }}'`, "20190228", `"x":"2019-02-28"`},
		{`x: '{{ .a | date "20060102" "2006-01-02" }}'`, "20190229", `not_a_date a /x`},
		{`x: '{{ .a | date "20060102" "2006-01-02" | omitempty }}'`, "", ``},
		{`x: '{{ .a | date "20060102" "2006-01-02" | omitempty }}'`, "nope", `not_a_date a /x`},
		{`x: '{{ .a | date "02.01.2006 15:04" "2006-01-02T15:04:05Z07:00" "Europe/Berlin" }}'`, "01.07.2019 12:00", `"x":"2019-07-01T12:00:00+02:00"`},
		{`x: '{{ .a | number }}'`, "-1.50e3", `"x":-1.50e3`},
		{`x: '{{ .a | number }}'`, "0123", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, "1,\"y\":2", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, " 1", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, "true", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, "{}", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, "NaN", `not_a_number a /x`},
		{`x: '{{ .a | number }}'`, "", `empty a /x`},
		{`x: '{{ .a | number | omitempty }}'`, "", ``},
		{`x: '{{ .a | bool }}'`, "Yes", `"x":true`},
		{`x: '{{ .a | bool }}'`, "0", `"x":false`},
		{`x: '{{ .a | bool }}'`, "maybe", `not_a_boolean a /x`},
		{`x: '{{ .a | omitempty }}'`, "v", `"x":"v"`},
		{`{x: '{{ .a | omitempty }}', y: 1}`, "", `"y":1`},
		{`{y: 1, x: 'a/{{ .a | omitempty }}'}`, "", `"y":1`},
		{`{y: {z: '{{ .a | omitempty }}'}, x: [{z: ['{{ .a | omitempty }}']}, 1, '{{ .a | omitempty }}', 2], w: {}, v: []}`, "", `"x":[1,2],"w":{},"v":[]`},
		{`x: [{y: 1, z: "{{ .a | omitparent }}", w: "{{ .c }}"}, {y: 2, z: "{{ .a | omitempty }}"}]`, "", `"x":[{"y":2}]`},
		{`x: {y: {z: 1, v: ["{{ .a | omitparent }}", 7]}, w: {u: "{{ .a | omitparent }}", t: 1}}`, "", `"x":{"y":{"z":1}}`},
		{`{x: "{{ .a | omitparent }}", y: {z: 1}, w: ['{{ .a | default "1" | number | omitparent }}']}`, "", `"y":{"z":1},"w":[1]`},
		{`{x: "{{ .a | omitparent }}", y: {z: 1}}`, "", `"y":{"z":1}`},
		{`x: {y: ['{{ .a | omitempty }}', '{{ .c }}']}`, "", `empty c /x/y/0`},
		{`x: "{{ .c }}{{ .a }}"`, "v", `empty c /x`},
		{`{x: 1.50, y: 0x10, z: 2019-01-01, u: yes, v: "true", w: true, "t": null, s: 1e5, r: .5}`, "", `"x":1.50,"y":"0x10","z":"2019-01-01","u":"yes","v":"true","w":true,"t":null,"s":1e5,"r":".5"`},
		{`{"x": "\u00e9\/{{ .a }}", "y": [true, null, 1]}`, "v", `"x":"é/v","y":[true,null,1]`},
	} {
		if c.want == "" && c.value == "v" {
			if _, err := ParseTemplate([]byte(c.template)); err == nil {
				t.Errorf("%s: no error", c.template)
			}
			continue
		}
		if got := rendered(t, c.template, c.value); got != c.want && !(c.want == "" && strings.HasPrefix(got, `"requested_at"`)) {
			t.Errorf("%s of %q:\ngot  %s\nwant %s", c.template, c.value, got, c.want)
		}
	}
}

// An id of several columns tells them apart, and never changes.
func TestID(t *testing.T) {
	seen := map[string]bool{}
	for _, columns := range [][2]string{{"ab", "c"}, {"a", "bc"}, {"1:a", "b"}, {"a", "b"}, {"b", "a"}} {
		line := made(t, `{id: "arch-{{ id .a .b }}"}`, fmt.Sprintf("a,b\n%s,%s\n", columns[0], columns[1]), Run{})[0]
		var job struct{ ID string }
		if err := json.Unmarshal(line.Data, &job); err != nil || !schemas.ValidJobID(job.ID) || seen[job.ID] {
			t.Errorf("%q: %v", job.ID, err)
		}
		seen[job.ID] = true
	}
	if !seen["arch-"+digest("2:ab1:c")[:32]] {
		t.Errorf("the ids of earlier versions are others: %v", seen)
	}
}

func TestTemplateFaults(t *testing.T) {
	for template, want := range map[string]string{
		``:                                     "empty",
		`[1]`:                                  "must be a map",
		`a: [`:                                 "neither YAML nor JSON",
		"a: 1\n---\nb: 2":                      "more than one document",
		"a: &x 1\nb: *x":                       "line 2: anchors",
		"a: 1\na: 2":                           "",
		`"{{ .a }}": 1`:                        "line 1: a key cannot hold an expression",
		"x: 1\ny: \"{{ .a \"":                  "line 2: ",
		`x: "{{ .a | nope }}"`:                 `function "nope" not defined`,
		`x: "{{ if .a }}b{{ end }}"`:           "it has no if",
		`x: "{{ range .a }}b{{ end }}"`:        "it has no if",
		`x: '{{ define "y" }}{{ .a }}{{end}}'`: "",
		`x: "{{ $y := .a }}"`:                  "no variables",
		`x: "{{ . }}"`:                         "a value is a column",
		`x: "{{ 5 }}"`:                         "a value is a column",
		`x: "{{ .a .b }}"`:                     "a value is a column",
		`x: "{{ .a | .b }}"`:                   "behind | comes a function",
		`x: "{{ .a | default }}"`:              "is used like",
		`x: '{{ .a | default "a" "b" }}'`:      "is used like",
		`x: '{{ .a | lower "a" }}'`:            "is used like",
		`x: '{{ .a | lower .a }}'`:             "one column",
		`x: '{{ lower }}'`:                     "needs a column",
		`x: '{{ .a | id }}'`:                   "behind its name",
		`x: '{{ id }}'`:                        "needs a column",
		`x: '{{ .a | map "M" }}'`:              "is used like",
		`x: '{{ .a | map "M" "a" "F" }}'`:      "needs what it is mapped to",
		`x: '{{ .a | map "M" "a" "M" "b" }}'`:  "mapped twice",
		`x: '{{ .a | date "2006" }}'`:          "is used like",
		`x: '{{ .a | date "YYYYMMDD" "2006-01-02" }}'`:            "the layouts write",
		`x: '{{ .a | date "20060102" "YYYY-MM-DD" }}'`:            "the layouts write",
		`x: '{{ .a | date "20060102" "2006-01-02" "Atlantis" }}'`: "zone is not known",
		`x: '{{ .a | date "20060102" "2006-01-02" "Local" }}'`:    "zone is not known",
		`x: '{{ .a | number | lower }}'`:                          "cannot come behind",
		`x: 'a{{ .a | number }}'`:                                 "stands alone",
		`x: '{{ .nope }}{{ .twice }}{{ col "no such" }}'`:         "template line 1: the manifest has no column \"nope\"\ntemplate line 1: the manifest has the column \"twice\" twice: rename one\ntemplate line 1: the manifest has no column \"no such\"",
	} {
		parsed, err := ParseTemplate([]byte(template))
		if err == nil {
			var r *Reader
			if r, err = NewReader(strings.NewReader("a,b,twice,twice\n"), Options{}); err != nil {
				t.Fatal(err)
			}
			_, err = NewRecipe(parsed, r, Run{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
}

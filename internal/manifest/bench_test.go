package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

const benchTemplate = `
id: "arch-{{ .doc_id }}"
operation: documentreference-create
destination: {slug: good-health, environment: Development}
files:
  - {bucket: archive, key: "{{ .key }}", content_type: application/pdf, title: '{{ .key | base }}'}
message:
  patient:
    resourceType: Patient
    identifier: [{system: "urn:oid:2.16.840.1.113883.3.9999.1", value: "{{ .mrn | trim }}"}]
    name: [{family: "{{ .last }}", given: ["{{ .first | omitempty }}"]}]
    gender: '{{ .sex | map "M" "male" "F" "female" "*" "unknown" }}'
    birthDate: '{{ .born | date "20060102" "2006-01-02" }}'
  resource:
    resourceType: DocumentReference
    status: current
    type: {coding: [{system: "http://loinc.org", code: "{{ .loinc }}"}]}
    description: "{{ .title }}"
    date: '{{ .date | date "2006-01-02 15:04" "2006-01-02T15:04:05Z07:00" "America/New_York" }}'
`

// archive is a CSV manifest of n lines.
func archive(n int) string {
	var b strings.Builder
	b.WriteString("doc_id,mrn,last,first,sex,born,key,loinc,title,date\r\n")
	for i := range n {
		fmt.Fprintf(&b, "%08d,%08d,\"Sample, %d\",%s,%s,19%02d0%d1%d,2019/%d/doc-%d.pdf,11502-2,\"Laboratory \"\"report\"\" %d\",2019-0%d-1%d 0%d:30\r\n",
			i, i%90000, i%777, []string{"", "Ada"}[i%2], []string{"M", "F", "X"}[i%3], i%90+10, i%9+1, i%9, i%400, i, i, i%9+1, i%9, i%9)
	}
	return b.String()
}

// BenchmarkEach makes and proves jobs on one goroutine; an operation is a line.
func BenchmarkEach(b *testing.B) {
	b.Run("decoded", func(b *testing.B) { benchmarkEach(b, nil) })
	b.Run("decoded and composed", func(b *testing.B) { benchmarkEach(b, compose.Composer{}.Check) })
}

func benchmarkEach(b *testing.B, check func(schemas.Job) error) {
	text := archive(b.N)
	template, err := manifest.ParseTemplate([]byte(benchTemplate))
	if err != nil {
		b.Fatal(err)
	}
	r, err := manifest.NewReader(strings.NewReader(text), manifest.Options{})
	if err != nil {
		b.Fatal(err)
	}
	recipe, err := manifest.NewRecipe(template, r, manifest.Run{
		StartedAt: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), ExpiresAfter: time.Hour, Check: check,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text) / b.N))
	b.ReportAllocs()
	b.ResetTimer()
	for faults, err := range manifest.Each(b.Context(), r, recipe, 1, func(l manifest.Line) []manifest.Fault { return l.Faults }) {
		if err != nil || len(faults) > 0 {
			b.Fatal(err, faults)
		}
	}
}

package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// TestALargeMessageIsNotKeptParsed while its files are looked up and uploaded: one
// of 100,000 values in 1 MB takes 17 MB of memory in that form. It is composed all
// the same.
func TestALargeMessageIsNotKeptParsed(t *testing.T) {
	for values, kept := range map[int]bool{1: true, 700: true, 1000: false, 10_000: false, 45_000: false} {
		message := fmt.Sprintf(`{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],
			"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},
			"resource":{"resourceType":"DocumentReference","status":"current","extension":[%s]}}`,
			strings.TrimSuffix(strings.Repeat(`{"url":"0123456789"},`, values), ","))
		d := &delivery{
			line: New(nil, nil, Settings{Environment: schemas.Development}, time.Now),
			job: schemas.Job{
				ID: "a", Operation: schemas.DocumentReferenceCreate, Files: []schemas.File{{Bucket: "reports", Key: "a.pdf"}}, Message: json.RawMessage(message),
				Destination: schemas.Destination{Slug: "good-health", Environment: schemas.Development}, RequestedAt: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
			},
			record: &job.Record{Files: []job.FileRecord{{Pin: &job.Pin{ETag: `"e"`, Size: 100}, ContentType: "application/pdf", Transfer: schemas.Embed}}},
		}
		if err := d.survey(t.Context()); err != nil {
			t.Fatal(err)
		}
		if (d.draft != nil) != kept {
			t.Errorf("%d values in %d bytes: kept parsed %t, want %t", values, len(message), d.draft != nil, kept)
		}
		composed, err := d.compose()
		if err != nil || composed.Size() < int64(values) || d.draft != nil {
			t.Errorf("%d values: %v, draft %v", values, err, d.draft)
		}
	}
}

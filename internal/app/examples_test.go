package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// TestExamplesAreDelivered: every job of schemas/examples/job is accepted, when it names a
// file that is there and this environment, at whatever date. The examples come after each
// other as they say.
func TestExamplesAreDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	paths, err := filepath.Glob("../../schemas/examples/job/*.json")
	if err != nil {
		t.Fatal(err)
	}
	file := w.put("a.pdf", document(2000, "a"))
	var jobs []schemas.Job
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		job, err := schemas.DecodeJob(data)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if filepath.Base(path) == "bounds.json" {
			continue // the largest values of each field make no message of a patient
		}
		for i, f := range job.Files {
			mine := file
			mine.Title, mine.ContentType = f.Title, f.ContentType
			job.Files[i] = mine
		}
		job.Destination.Environment = schemas.Development
		job.SourceID, job.RequestedAt, job.ExpiresAt = "", w.began, time.Time{}
		jobs = append(jobs, job)
	}
	if len(jobs) < 11 {
		t.Fatalf("only %d examples were found", len(jobs))
	}
	w.publish(jobs...)
	for _, job := range jobs {
		if e := w.final(job.ID); e.Data.Status != schemas.StatusAccepted {
			t.Errorf("%s: %s %+v", job.ID, e.Data.Status, e.Data.Reason)
		}
	}
}

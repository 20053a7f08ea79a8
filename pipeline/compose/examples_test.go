package compose

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chartpost/chartpost/schemas"
)

// TestTheContractsExamplesCompose: people copy from the examples beside the
// schemas, so each of them must be a job that is delivered.
func TestTheContractsExamplesCompose(t *testing.T) {
	names, err := filepath.Glob("../../schemas/examples/job/*.json")
	if err != nil || len(names) < 10 {
		t.Fatalf("found %d examples (%v), want one of each operation at least", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			job, err := schemas.DecodeJob(data)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(job); err != nil {
				t.Error(err)
			}
		})
	}
}

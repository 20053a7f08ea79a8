package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// TestEveryOperation sends the minimal job of each operation, uploaded and
// embedded, and compares what the chart holds with what the store holds.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	for _, op := range compose.Operations() {
		for _, how := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			id := op.Name + "-" + string(how)
			data := document(100_000, id)
			job := golden(t, op.Name)
			job.ID, job.Transfer = id, how
			job.Files = []schemas.File{w.put(id+".pdf", data)}
			w.publish(job)
			event := w.final(id)
			if event.Data.Status != schemas.StatusAccepted {
				t.Errorf("%s: %s %+v", id, event.Data.Status, event.Data.Reason)
				continue
			}
			messages := w.sim.Messages()
			got := messages[len(messages)-1]
			if got.Operation != op.Name || len(got.Files) != 1 {
				t.Errorf("%s: the chart received %s with %d files", id, got.Operation, len(got.Files))
				continue
			}
			if f := got.Files[0]; f.SHA256 != sha(data) || (f.How == redoxsim.Uploaded) != (how == schemas.Upload) {
				t.Errorf("%s: the chart holds a file of %d bytes that came %s, want the %d bytes of the store by %s", id, f.Size, f.How, len(data), how)
			}
			if op.API == compose.DataModel && len(event.Data.Receipt.LogIDs) == 0 {
				t.Errorf("%s: the receipt names no log", id)
			}
		}
	}
	w.drained()
	if letters := w.dead(); len(letters) != 0 {
		t.Errorf("%d dead letters", len(letters))
	}
}

// TestEveryOperationThatIsTooLarge: a 413 on the message with its file inside is
// answered by uploading the file, for every operation.
func TestEveryOperationThatIsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	data := document(50_000, t.Name())
	file := w.put("a.pdf", data)
	for _, op := range compose.Operations() {
		w.sim.ClearFaults()
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: http.StatusRequestEntityTooLarge, Times: 1}))
		job := golden(t, op.Name)
		job.ID, job.Transfer, job.Files = "large-"+op.Name, schemas.Auto, []schemas.File{file}
		w.publish(job)
		event := w.final(job.ID)
		if event.Data.Status != schemas.StatusAccepted || event.Data.Files[0].Transfer != schemas.Upload {
			t.Errorf("%s: %s by %s, want accepted by upload", op.Name, event.Data.Status, event.Data.Files[0].Transfer)
			continue
		}
		messages := w.sim.Messages()
		if f := messages[len(messages)-1].Files[0]; f.SHA256 != sha(data) || f.How != redoxsim.Uploaded {
			t.Errorf("%s: the chart holds other bytes, or they came %s", op.Name, f.How)
		}
	}
}

// golden is the minimal job of an operation as integrators see it, moved to
// this test's time, source and environment.
func golden(t testing.TB, operation string) schemas.Job {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "golden", operation, "minimal", "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	var job schemas.Job
	if err := json.Unmarshal(data, &job); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", operation, err))
	}
	job.SourceID, job.ExpiresAt, job.RequestedAt = "", time.Time{}, time.Now().UTC().Truncate(time.Second)
	job.Destination.Environment = schemas.Development
	return job
}

package timeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestSummary: a brief search reads neither dead letters nor the audit, and what it finds
// is told without the worker's name.
func TestSummary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell("a", 1, schemas.StatusFailed)
	w.record("a", job.Record{Phase: job.Failed, Attempt: 1, Sequence: 9, Reason: &schemas.Reason{Kind: "permanent", Code: "c"}})
	w.must(w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{Lane: lane, Data: jobText("a"), Key: "dead/1/x/1/failed", JobID: "a", Status: schemas.StatusFailed}))
	j, _, err := w.gather("a", Options{Brief: true, Since: time.Now().Add(-time.Hour)})
	if err != nil || len(j.Letters) != 0 || len(j.Audits) != 0 {
		t.Fatalf("%+v, %v", j, err)
	}
	text, err := json.Marshal(j.Summary())
	if err != nil || strings.Contains(string(text), "w-1") || !strings.Contains(string(text), `"state":"failed"`) || !strings.Contains(string(text), `"status":"failed"`) {
		t.Errorf("%s, %v", text, err)
	}
	w.must(w.queue.Outbox().Later(t.Context(), worker.Schedule{Lane: lane, JobID: "b", Data: jobText("b"), Attempt: 2, At: time.Now().Add(time.Hour)}))
	j, _, err = w.gather("b", Options{Brief: true})
	if s := j.Summary(); err != nil || s.State != "waiting" || s.NextAttempt != 2 || s.NextAttemptAt.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	if s := Queued(lane, "c"); s.State != "queued" || s.Events == nil || s.Class != lane.Class {
		t.Errorf("%+v", s)
	}
}

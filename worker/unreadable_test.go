package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// raw writes a record of the ledger as another version would, or a person, and gives
// what the bucket has of it now.
func (w *world) raw(id, value string) func() string {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), strings.ToUpper(w.prefix)+"_LEDGER")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := kv.Put(w.t.Context(), keyOf(id).Tokens(), []byte(value)); err != nil {
		w.t.Fatal(err)
	}
	return func() string {
		entry, err := kv.Get(w.t.Context(), keyOf(id).Tokens())
		if err != nil {
			w.t.Fatal(err)
		}
		return string(entry.Value())
	}
}

// TestUnreadableRecords: each copy of their jobs ends in a dead letter, with an event
// of its own. The lane goes on, and the worker does not shut its gate.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const bad = `{"phase":"sending","attempt":"one"}`
	var records []func() string
	for i := range 4 {
		id := fmt.Sprintf("bad-%d", i)
		records = append(records, w.raw(id, bad))
		w.publish(jobJSON(id, "a"))
	}
	w.publish(jobJSON("bad-0", "a")) // a second copy
	w.publish(jobJSON("good", "a"))
	s := &script{post: accepts}
	w.start(s, nil)
	w.drained()

	ends := map[string]int{}
	ids := map[string]bool{}
	for _, e := range w.events() {
		ends[fmt.Sprintf("%s %s %d", e.Data.JobID, e.Data.Status, e.Data.Attempt)]++
		ids[e.ID] = true
		if e.Data.JobID != "good" && (e.Data.Reason == nil || e.Data.Reason.Code != "ledger_unreadable" || e.Data.Reason.Kind != "unknown_outcome") {
			t.Errorf("%s: %+v", e.Data.JobID, e.Data.Reason)
		}
	}
	want := map[string]int{"bad-0 unknown 1": 2, "bad-1 unknown 1": 1, "bad-2 unknown 1": 1, "bad-3 unknown 1": 1, "good accepted 1": 1}
	if fmt.Sprint(ends) != fmt.Sprint(want) || len(ids) != 6 {
		t.Errorf("events %v with %d ids, want %v", ends, len(ids), want)
	}
	letters := w.messages("DEAD")
	if len(letters) != 5 || letters[0].Header.Get("Chartpost-Reason-Code") != "ledger_unreadable" || letters[0].Header.Get("Chartpost-Status") != "unknown" {
		t.Errorf("%d dead letters, the first %v", len(letters), letters[0].Header)
	}
	for _, now := range records {
		if now() != bad {
			t.Errorf("a record was changed: %s", now())
		}
	}
	if s.posts.Load() != 1 || strings.Contains(w.log.String(), "no jobs are taken") {
		t.Errorf("%d posts\n%s", s.posts.Load(), w.log.tail())
	}
}

// TestRecordsOfALaterVersion: this worker leaves their jobs to those of that version.
func TestRecordsOfALaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const version, phase = `{"version":2,"phase":"working","attempt":1}`, `{"version":1,"phase":"delivered","attempt":1}`
	first, second := w.raw("version", version), w.raw("phase", phase)
	w.publish(jobJSON("version", "a"))
	w.publish(jobJSON("phase", "a"))
	w.publish(jobJSON("good", "a"))
	s := &script{post: accepts}
	w.start(s, nil)
	w.until("the good job is accepted, and the others were met", func() bool {
		return describe(w.events()) == "1/accepted" && strings.Count(w.log.String(), "code=ledger_later_version") >= 2
	})
	if w.waiting() != 2 || len(w.messages("DEAD")) != 0 || s.posts.Load() != 1 || first() != version || second() != phase {
		t.Errorf("%d jobs wait, %d are dead, %d posts; the records are %s and %s", w.waiting(), len(w.messages("DEAD")), s.posts.Load(), first(), second())
	}
}

// TestAWorkerKeepsWhatALaterVersionAdded to a job's record, from the first save to
// the end.
func TestAWorkerKeepsWhatALaterVersionAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("a", "a")
	now := w.raw("a", fmt.Sprintf(`{"version":1,"phase":"waiting","attempt":1,"sequence":999,"digest":%q,"hue":"blue","files":[{"scanned":true}]}`, digest(data)))
	w.publish(data)
	w.start(&script{post: accepts}, nil)
	w.until("it is accepted", func() bool { return describe(w.events()) == "2/accepted" })
	if text := now(); !strings.Contains(text, `"hue":"blue"`) || !strings.Contains(text, `"scanned":true`) || !strings.Contains(text, `"phase":"accepted"`) {
		t.Error(text)
	}
}

// TestALaneOfALaterVersion is not served here, whatever it says.
func TestALaneOfALaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kv, err := w.js.KeyValue(t.Context(), strings.ToUpper(w.prefix)+"_CONTROL")
	if err != nil {
		t.Fatal(err)
	}
	const later = `{"version":2,"open":"of another kind"}`
	if _, err := kv.Put(t.Context(), "lane."+goodHealth.Tail(), []byte(later)); err != nil {
		t.Fatal(err)
	}
	other := schemas.Lane{Class: schemas.Live, Destination: "other"}
	w.publish(jobJSON("a", "a"))
	s := &script{post: accepts, understand: func([]byte) (pipeline.Understood, error) { return pipeline.Understood{Job: schemas.Job{ID: "b"}}, nil }}
	s.deliver = func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error { return s.send(ctx, r, j) }
	w.start(s, nil)
	if _, err := w.js.Publish(t.Context(), schemas.JobSubject(w.prefix, other), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	w.until("the other lane is served", func() bool { return len(w.events()) == 1 })
	if e := w.events()[0]; e.Data.Destination != "other" || w.waiting() != 1 {
		t.Errorf("%+v, %d wait", e.Data, w.waiting())
	}
	entry, err := kv.Get(t.Context(), "lane."+goodHealth.Tail())
	if err != nil || string(entry.Value()) != later {
		t.Errorf("the record is %s, %v", entry.Value(), err)
	}
}

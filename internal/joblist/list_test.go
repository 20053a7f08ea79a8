package joblist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/schemas"
)

// everyWay lists jobs without an index, with one that has all events but the last few, and
// with more events behind it.
func everyWay(t *testing.T, publish func(*world), hold func(*world)) {
	t.Run("no segment", func(t *testing.T) {
		w := newWorld(t)
		publish(w)
		hold(w)
	})
	t.Run("in segments", func(t *testing.T) {
		w := newWorld(t)
		w.fill("before", 100)
		publish(w)
		w.fill("behind", segment)
		if p := w.build(); p.Segments != 1 || p.Events != segment {
			t.Fatalf("%+v", p)
		}
		hold(w)
	})
	t.Run("in both", func(t *testing.T) {
		w := newWorld(t)
		w.fill("before", segment-1)
		publish(w)
		if p := w.build(); p.Segments != 1 {
			t.Fatalf("%+v", p)
		}
		hold(w)
	})
}

func TestTheLastEventOfAJobDecides(t *testing.T) {
	old := time.Now()
	everyWay(t, func(w *world) {
		w.tell("twice", schemas.StatusRetrying, with("order", "1"))
		w.tell("failed", schemas.StatusFailed, with("order", "1", "ward", "b"))
		w.tell("replayed", schemas.StatusFailed, with("order", "1"))
		w.tell("twice", schemas.StatusUploaded, with("order", "1"))
		w.tell("other", schemas.StatusUnknown, with("order", "2"), to("other", schemas.Backfill))
		w.tell("twice", schemas.StatusAccepted, with("order", "1"))
		w.tell("failed", schemas.StatusDuplicate, with("order", "1", "ward", "b"))
		w.tell("replayed", schemas.StatusAccepted, with("order", "1"))
		w.tell("replayed", schemas.StatusDelivered, with("order", "1")) // what became of the message later says nothing of the job
		w.tell("waiting", schemas.StatusRetrying, with("order", "3"))
	}, func(w *world) {
		w.lists("by correlation", order("1"), "replayed accepted", "twice accepted", "failed failed")
		w.lists("by two pairs", joblist.Query{Correlation: map[string]string{"order": "1", "ward": "b"}}, "failed failed")
		w.lists("by a pair that no job has", order("4711"))
		w.lists("by key and value", joblist.Query{Correlation: map[string]string{"1": "order"}})
		w.lists("failed", joblist.Query{States: []joblist.State{joblist.Failed}}, "failed failed")
		w.lists("accepted", joblist.Query{States: []joblist.State{joblist.Accepted}, Correlation: map[string]string{"order": "1"}}, "replayed accepted", "twice accepted")
		w.lists("two states", joblist.Query{States: []joblist.State{joblist.Failed, joblist.Unknown}}, "other unknown", "failed failed")
		w.lists("by code", joblist.Query{Code: "file_missing"}, "failed failed")
		w.lists("by code and correlation", joblist.Query{Code: "redox_503", Correlation: map[string]string{"order": "1"}})
		w.lists("waiting", joblist.Query{States: []joblist.State{joblist.Waiting}}, "waiting waiting")
		w.lists("by destination", joblist.Query{Destination: "other"}, "other unknown")
		w.lists("by class", joblist.Query{Class: schemas.Backfill}, "other unknown")
		w.lists("by time", joblist.Query{States: []joblist.State{joblist.Failed}, Until: old})
		w.lists("since then", joblist.Query{States: []joblist.State{joblist.Failed}, Since: old}, "failed failed")
		w.lists("since later", joblist.Query{States: []joblist.State{joblist.Failed}, Since: time.Now().Add(time.Hour)})
	})
}

// A copy that cannot be read has no correlation, whoever publishes it: the job is found all
// the same.
func TestACopyDoesNotHideAJob(t *testing.T) {
	everyWay(t, func(w *world) {
		w.tell("kept", schemas.StatusUploaded, with("order", "1"))
		w.tell("kept", schemas.StatusFailed)
	}, func(w *world) {
		p := w.lists("by correlation", order("1"), "kept failed")
		if len(p.Jobs) == 1 && p.Jobs[0].Correlation["order"] != "1" {
			t.Errorf("%+v", p.Jobs[0])
		}
		w.lists("by correlation and state", joblist.Query{States: []joblist.State{joblist.Working}, Correlation: map[string]string{"order": "1"}})
	})
}

func TestPages(t *testing.T) {
	everyWay(t, func(w *world) {
		for i := range 25 {
			w.tell(fmt.Sprint("paged-", i), schemas.StatusRetrying, with("order", "all"))
			w.tell(fmt.Sprint("paged-", i), schemas.StatusAccepted, with("order", "all"))
		}
	}, func(w *world) {
		q, n := order("all"), 25
		q.Limit = 10
		for {
			page := w.list(q)
			for _, j := range page.Jobs {
				if n--; j.JobID != fmt.Sprint("paged-", n) {
					t.Fatalf("%s at the place of paged-%d", j.JobID, n)
				}
			}
			if q.Before = page.Next; page.Next == 0 {
				break
			}
			if len(page.Jobs) != 10 {
				t.Fatalf("a page of %d jobs has a next one", len(page.Jobs))
			}
		}
		if n != 0 {
			t.Errorf("%d jobs are missing", n)
		}
	})
}

// TestTheLedgerHasTheLastWord: a list and the status of a job use the same words.
func TestTheLedgerHasTheLastWord(t *testing.T) {
	w := newWorld(t)
	bucket, err := w.Ledger(t.Context())
	must(t, err)
	record := func(id string, phase job.Phase, resent time.Time) {
		value, err := job.Record{Phase: phase, Attempt: 7, UpdatedAt: time.Now(), Resent: resent}.MarshalJSON()
		must(t, err)
		_, err = bucket.Put(t.Context(), "good-health."+id, value)
		must(t, err)
	}
	w.tell("taken", schemas.StatusRetrying, with("order", "1"))
	record("taken", job.Sending, time.Time{})
	w.tell("resent", schemas.StatusFailed, with("order", "1"))
	record("resent", job.Failed, time.Now())
	w.tell("newer", schemas.StatusFailed, with("order", "1"))
	_, err = bucket.Put(t.Context(), "good-health.newer", []byte(`{"version":99,"phase":"dreaming"}`))
	must(t, err)
	p := w.lists("all", order("1"), "newer failed", "resent queued", "taken sending")
	if !p.Jobs[0].RecordUnread || p.Jobs[2].Attempt != 7 || !p.Jobs[2].NextAttemptAt.IsZero() {
		t.Errorf("%+v", p.Jobs)
	}
	w.lists("sending", joblist.Query{States: []joblist.State{joblist.Sending}}, "taken sending")
	w.lists("waiting", joblist.Query{States: []joblist.State{joblist.Waiting}})
	w.lists("failed", joblist.Query{States: []joblist.State{joblist.Failed}}, "newer failed")
}

// TestEveryStateIsAskedFor: no status is without a state, and no state without a status.
func TestEveryStateIsAskedFor(t *testing.T) {
	w := newWorld(t)
	for _, s := range []schemas.Status{schemas.StatusUploaded, schemas.StatusAccepted, schemas.StatusRetrying, schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusCancelled} {
		id := "is-" + string(s)
		w.tell(id, s)
		state := w.list(joblist.Query{}).Jobs[0].State
		if p := w.list(joblist.Query{States: []joblist.State{state}}); len(p.Jobs) != 1 || p.Jobs[0].JobID != id {
			t.Errorf("%s: the state %s gives %+v", s, state, p.Jobs)
		}
	}
}

// TestHostileCorrelations: as many and as long as a job can have.
func TestHostileCorrelations(t *testing.T) {
	everyWay(t, func(w *world) {
		var many []string
		for i := range 16 {
			many = append(many, fmt.Sprint("k", i), strings.Repeat("\x00é", 15))
		}
		w.tell("many", schemas.StatusAccepted, with(many...))
		w.tell("long", schemas.StatusAccepted, with("k", strings.Repeat("v", 1000)))
		w.tell("odd", schemas.StatusAccepted, with("", "", "a=b", "c d\n,"))
	}, func(w *world) {
		w.lists("one of many", joblist.Query{Correlation: map[string]string{"k15": strings.Repeat("\x00é", 15)}}, "many accepted")
		w.lists("a long one", joblist.Query{Correlation: map[string]string{"k": strings.Repeat("v", 1000)}}, "long accepted")
		w.lists("an empty one", joblist.Query{Correlation: map[string]string{"": ""}}, "odd accepted")
		w.lists("an odd one", joblist.Query{Correlation: map[string]string{"a=b": "c d\n,"}}, "odd accepted")
	})
}

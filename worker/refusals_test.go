package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

func refusesAll(int) *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "redox_status_403", Refused: true, Own: true}
}

// TestAStormOfRefusalsStopsTheLane: what is refused for good alike, job after job, is
// not the jobs' fault. The rest stays in its lane, and gets through when the
// refusals end.
func TestAStormOfRefusalsStopsTheLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const jobs, most = 100, 20 + 4 // and what is in hand
	for i := range jobs {
		w.publish(jobJSON(fmt.Sprint("job-", i), "a"))
	}
	stop := w.start(&script{post: refusesAll}, nil)
	w.until("the lane is shut", func() bool {
		br := w.lane().Breaker
		return br != nil && br.Reason.Code == "redox_status_403" && br.Opened > 2
	})
	stop()
	if dead := len(w.messages("DEAD")); dead < 20 || dead > most {
		t.Errorf("%d of %d jobs are buried, want 20 to %d", dead, jobs, most)
	}
	w.start(&script{post: accepts}, nil)
	w.drained()
	accepted, failed := 0, 0
	for _, e := range w.events() {
		switch e.Data.Status {
		case schemas.StatusAccepted:
			accepted++
		case schemas.StatusFailed:
			failed++
		}
	}
	if dead := len(w.messages("DEAD")); accepted+failed != jobs || failed != dead {
		t.Errorf("%d accepted, %d failed, %d dead letters of %d jobs", accepted, failed, dead, jobs)
	}
}

// denied is what a worker meets whose credentials the store does not take.
func denied(int) *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_forbidden", Own: true}
}

// TestOneWorkerWithBadCredentials beside a good one buries nothing.
func TestOneWorkerWithBadCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const jobs = 60
	for i := range jobs {
		w.publish(jobJSON(fmt.Sprint("job-", i), "a"))
	}
	bad := &script{post: denied}
	w.start(bad, nil)
	w.until("the bad worker has met some", func() bool { return bad.posts.Load() > 0 })
	w.start(&script{post: accepts}, nil)
	w.drained()
	if dead := w.messages("DEAD"); len(dead) != 0 {
		t.Errorf("%d jobs are buried", len(dead))
	}
	if n := w.acceptedEvents(); n != jobs {
		t.Errorf("%d of %d accepted", n, jobs)
	}
}

// TestAFaultThatAnotherWorkerConfirms ends the job; so does one that the only worker
// meets often enough.
func TestAFaultThatAnotherWorkerConfirms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		suspicion *job.Suspicion
		events    string
	}{
		{"of another worker", &job.Suspicion{Code: "file_forbidden", Worker: "another", Times: 1}, "3/failed"},
		{"of another kind", &job.Suspicion{Code: "bucket_missing", Worker: "another", Times: 1}, "3/retrying 4/retrying 5/failed"},
		{"of this one alone", nil, "3/retrying 4/retrying 5/failed"},
	} {
		w := newWorld(t)
		data := jobJSON("job", "a")
		w.remember("job", job.Record{
			Phase: job.Waiting, Attempt: 2, Sequence: 1000, Digest: digest(data), Suspicion: c.suspicion,
			Reason: &schemas.Reason{Kind: "retryable", Code: "file_forbidden"}, NextAttemptAt: time.Now(),
		})
		w.start(&script{post: denied}, nil)
		w.publish(data)
		w.drained()
		events := w.events()
		if got := describe(events); got != c.events {
			t.Errorf("%s: events %q, want %q", c.name, got, c.events)
		}
		if !slices.ContainsFunc(events, func(e schemas.Event) bool {
			return e.Data.Status == schemas.StatusFailed && e.Data.Reason.Code == "file_forbidden" && !strings.Contains(e.Data.Reason.Kind, "retry")
		}) {
			t.Errorf("%s: no event says that the job failed for good", c.name)
		}
	}
}

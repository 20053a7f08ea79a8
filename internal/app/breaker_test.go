package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// lane is what the fleet knows of a live lane.
func (w *world) lane(destination string) worker.LaneState {
	w.t.Helper()
	control, err := w.queue.Control(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := control.Get(w.t.Context(), schemas.Lane{Class: schemas.Live, Destination: destination})
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// TestADeadDestination: its lane is shut for the whole fleet, its jobs spend an
// attempt as probes and few before, the others go on, and when it is back every job is
// accepted and the lane is as if nothing had been.
func TestADeadDestination(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	dead := redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: http.StatusServiceUnavailable,
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "dead"}}
	w.inject(dead)
	w.worker()
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	var ids []string
	for i := range 20 {
		id := fmt.Sprintf("dead-%d", i)
		ids = append(ids, id)
		w.publish(w.job(id, []schemas.File{file}, to("dead")))
	}
	devtest.Until(t, "the breaker is open and was probed once", patienceOfTests, func() bool {
		s := w.lane("dead")
		return s.Breaker != nil && s.Breaker.Opened >= 2 && s.Breaker.Reason.Code == "redox_status_503"
	})
	for i := range 20 {
		id := fmt.Sprintf("well-%d", i)
		w.publish(w.job(id, []schemas.File{file}, to("well")))
		if e := w.final(id); e.Data.Status != schemas.StatusAccepted {
			t.Fatalf("%s: %s", id, e.Data.Status)
		}
	}
	w.sim.ClearFaults() // it is back
	spent := 0
	for _, id := range ids {
		e := w.final(id)
		if e.Data.Status != schemas.StatusAccepted || e.Data.PossibleDuplicate {
			t.Errorf("%s: %s", id, w.statuses(id))
		}
		spent += e.Data.Attempt - 1
	}
	// As many as shut a lane, and what the fleet may have in hand of it then.
	const before = 3 + 8
	log := w.log.String()
	if opened := strings.Count(log, "the lane is shut"); opened == 0 || spent > opened+before {
		t.Errorf("%d attempts were spent, the lane was shut %d times", spent, opened)
	}
	devtest.Until(t, "nothing is said of the lane any more", patienceOfTests, func() bool { return w.lane("dead").Empty() })
	w.drained()
}

// TestADestinationThatLimits: a 429 to the messages of one destination, which asks
// for a day, shuts its lane alone. The shared budget and the worker's own gate stay
// as they are, and the jobs of others are delivered at the first attempt.
func TestADestinationThatLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.inject(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "86400"},
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "limited"}})
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	for i := range 5 {
		w.publish(w.job(fmt.Sprintf("limited-%d", i), []schemas.File{file}, to("limited")))
	}
	devtest.Until(t, "the breaker is open", patienceOfTests, func() bool {
		s := w.lane("limited")
		return s.Breaker != nil && s.Breaker.Reason.Code == "redox_rate_limited"
	})
	if wait := time.Until(w.lane("limited").Breaker.Until); wait < 10*time.Minute || wait > 15*time.Minute {
		t.Errorf("the lane is shut for %s more, want a quarter of an hour", wait)
	}
	began := time.Now()
	for i := range 100 {
		w.publish(w.job(fmt.Sprintf("well-%d", i), []schemas.File{file}, to("well")))
	}
	for i := range 100 {
		id := fmt.Sprintf("well-%d", i)
		if e := w.final(id); e.Data.Status != schemas.StatusAccepted || e.Data.Attempt != 1 {
			t.Errorf("%s: %s", id, w.statuses(id))
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("100 jobs of another destination took %s", took)
	}
	if spent, _, err := w.settings.Budget.Look(t.Context(), w.queue); err != nil || spent.Held != 0 || spent.Effective != spent.Limit {
		t.Errorf("the budget was cut: %+v, %v", spent, err)
	}
	for i := range 5 {
		if got := w.statuses(fmt.Sprintf("limited-%d", i)); strings.Contains(got, string(schemas.StatusFailed)) {
			t.Errorf("limited-%d: %s", i, got)
		}
	}
}

// TestSlowDestinations: jobs whose answers take long keep no slots, so that those
// of others are delivered meanwhile although every slot would be taken.
func TestSlowDestinations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.Concurrency = 4
	for i := range 3 {
		w.inject(redoxsim.Fault{Action: redoxsim.HangAfterProcessing, Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: fmt.Sprint("slow-", i)}})
	}
	w.settings.Delivery.AnswerTimeout = time.Hour
	w.settings.Delivery.OnUnknown = "hold"
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	var slow []string
	for i := range 12 {
		id := fmt.Sprintf("slow-job-%d", i)
		slow = append(slow, id)
		w.publish(w.job(id, []schemas.File{file}, to(fmt.Sprint("slow-", i%3))))
	}
	devtest.Until(t, "every slot's worth of messages hangs", patienceOfTests, func() bool { return len(w.sim.Messages()) >= 4 })
	for i := range 10 {
		id := fmt.Sprintf("well-%d", i)
		w.publish(w.job(id, []schemas.File{file}, to("well")))
		w.final(id)
	}
	if ended := slices.IndexFunc(slow, func(id string) bool { return w.statuses(id) != "" }); ended >= 0 {
		t.Errorf("the others had to wait until %s ended: %s", slow[ended], w.statuses(slow[ended]))
	}
}

// TestAnOperatorPausesALane and no worker takes its jobs, until the pause is
// lifted.
func TestAnOperatorPausesALane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.HTTP.Addr = "127.0.0.1:0"
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	w.publish(w.job("before", []schemas.File{file}))
	w.final("before")
	control, err := w.queue.Control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put := func(pause *worker.Pause) {
		t.Helper()
		state := w.lane("good-health")
		state.Pause = pause
		if _, err := control.Put(context.WithoutCancel(t.Context()), state); err != nil {
			t.Fatal(err)
		}
	}
	put(&worker.Pause{By: "ann", Reason: "maintenance", Since: time.Now(), Until: time.Now().Add(time.Hour)})
	devtest.Until(t, "the worker knows of the pause", patienceOfTests, func() bool {
		return strings.Contains(w.scrape().text, `chartpost_lane_paused{class="live",destination="good-health"} 1`)
	})
	w.publish(w.job("paused", []schemas.File{file}))
	w.publish(w.job("other", []schemas.File{file}, to("other")))
	w.final("other")
	devtest.Until(t, "/readyz counts the lane", patienceOfTests, func() bool {
		status, body := readiness(t, w.address())
		return status == http.StatusOK && strings.Contains(body, "lanes that hold jobs and do not move: 1 paused")
	})
	if got := w.statuses("paused"); got != "" {
		t.Errorf("a job of a paused lane was worked on: %s", got)
	}
	put(nil)
	w.final("paused")
}

// TestManyLanes: three hundred destinations, some of which never answer and some
// of which refuse every message, share one worker; each of the others gets its
// jobs delivered at the first attempt.
func TestManyLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.Concurrency = 16
	for i := range 5 {
		w.inject(
			redoxsim.Fault{Action: redoxsim.HangBeforeBody, Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: fmt.Sprint("site-", i)}},
			redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: http.StatusBadGateway, Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: fmt.Sprint("site-", 5+i)}},
		)
	}
	file := w.put("a.pdf", document(2000, "a"))
	const lanes, each = 300, 2
	deep := fmt.Sprint("site-", lanes-1)
	for i := range 60 {
		w.publish(w.job(fmt.Sprintf("deep-%d", i), []schemas.File{file}, to(deep)))
	}
	var jobs []schemas.Job
	for i := range lanes - 1 {
		for n := range each {
			jobs = append(jobs, w.job(fmt.Sprintf("site-%d-job-%d", i, n), []schemas.File{file}, to(fmt.Sprint("site-", i))))
		}
	}
	w.publish(jobs...)
	w.worker()
	for _, job := range jobs[10*each:] {
		if e := w.final(job.ID); e.Data.Status != schemas.StatusAccepted || e.Data.Attempt != 1 {
			t.Errorf("%s: %s", job.ID, w.statuses(job.ID))
		}
	}
	w.sim.ClearFaults()
	for i := range 60 {
		w.final(fmt.Sprintf("deep-%d", i))
	}
	for _, job := range jobs[5*each : 10*each] {
		if e := w.final(job.ID); e.Data.Status != schemas.StatusAccepted {
			t.Errorf("%s: %s", job.ID, w.statuses(job.ID))
		}
	}
}

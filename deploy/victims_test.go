package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// mostDelay is how much later a job may be accepted because of somebody else.
const mostDelay = 5 * time.Second

// While a flood of thousands of lanes is served, one job of a hundred may wait for longer,
// and none for longer than mostDelayInLanes. Seen: 2 of 580 waited 15 and 42 s.
const mostDelayInLanes = 90 * time.Second

// victims are jobs of another submitter, published all the time.
type victims struct {
	s    *site
	seen *seen
	js   jetstream.JetStream
	key  string

	mu sync.Mutex
	// published is when each was confirmed.
	published map[string]time.Time
	// slowest is the longest time until a publish was confirmed. It is the disk's: the
	// server syncs each message, and a flood stands before it.
	slowest time.Duration
}

// newVictims stores the file that the jobs name.
func newVictims(s *site, seen *seen) *victims {
	s.t.Helper()
	const key = "outbox/hostile.pdf"
	s.send("stored", "good-health", "--key", key)
	s.await(seen, "stored", schemas.StatusAccepted)
	return &victims{s: s, seen: seen, js: s.stream(submitter), key: key, published: map[string]time.Time{}}
}

// job is a job for a destination.
func (v *victims) job(id, destination string) []byte {
	v.s.t.Helper()
	data, err := json.Marshal(map[string]any{
		"id": id, "operation": "documentreference-create",
		"destination":  map[string]any{"slug": destination, "environment": "Development"},
		"files":        []any{map[string]any{"bucket": testBucket, "key": v.key, "content_type": "application/pdf"}},
		"message":      map[string]any{"patient": json.RawMessage(samples.Patient()), "resource": map[string]any{"resourceType": "DocumentReference", "status": "current"}},
		"requested_at": time.Now().UTC().Format(time.RFC3339),
	})
	must(v.s.t, err)
	return data
}

// publish publishes a victim's job for a destination.
func (v *victims) publish(id, destination string) {
	v.s.t.Helper()
	must(v.s.t, v.submit(id, destination))
}

func (v *victims) submit(id, destination string) error {
	data := v.job(id, destination)
	v.mu.Lock()
	v.published[destination+"/"+id] = time.Now()
	v.mu.Unlock()
	began := time.Now()
	_, err := v.js.Publish(v.s.t.Context(), "chartpost.jobs.live."+destination, data)
	v.mu.Lock()
	v.slowest = max(v.slowest, time.Since(began))
	v.published[destination+"/"+id] = time.Now()
	v.mu.Unlock()
	return err
}

// await waits until a job of a destination is accepted.
func (v *victims) await(destination, id string) {
	v.s.t.Helper()
	devtest.Until(v.s.t, destination+"/"+id+" is accepted", patience, func() bool {
		return slices.ContainsFunc(v.seen.of(destination, id), func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	})
}

// during publishes jobs for as long as something goes on, each after the one before
// was accepted. Its jobs are looked at by unharmed.
func (v *victims) during(name string, destination func(n int) string, do func()) {
	v.s.t.Helper()
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { v.repeat(name, over, destination) })
	defer all.Wait()
	defer close(over)
	do()
}

// victimsPause leaves the servers to the flood between two jobs of others.
const victimsPause = 50 * time.Millisecond

// known is a destination of which jobs were accepted before.
func known(int) string { return "good-health" }

func (v *victims) repeat(name string, over <-chan struct{}, destination func(n int) string) {
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		if err := v.submit(id, destination(n)); err != nil {
			v.s.t.Errorf("publishing %s: %v", id, err)
			return
		}
		for more := v.seen.more(); !v.seen.has(id, schemas.StatusAccepted); more = v.seen.more() {
			select {
			case <-more:
			case <-time.After(patience):
				v.s.t.Errorf("%s is not accepted", id)
				return
			}
		}
		select {
		case <-over:
			return
		case <-time.After(victimsPause):
		}
	}
}

// unharmed compares what became of the victims' jobs with what should have. A job in a
// hundred may wait for longer than mostDelay, where most is more.
func (v *victims) unharmed(late map[string]bool, most time.Duration) {
	v.s.t.Helper()
	took := map[string]int{}
	for _, m := range v.s.sim.Messages() {
		took[m.Destination+" "+m.DocumentID]++
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	longest, slow := time.Duration(0), 0
	for key, at := range v.published {
		destination, id, _ := strings.Cut(key, "/")
		accepted := time.Time{}
		for _, e := range v.seen.of(destination, id) {
			switch status := e.Data.Status; {
			case e.Data.PossibleDuplicate:
				v.s.t.Errorf("%s: the event %s says that it may have been sent twice", key, e.ID)
			case status == schemas.StatusAccepted && accepted.IsZero():
				accepted = e.Time
			case status == schemas.StatusRetrying && late[key]:
			case status != schemas.StatusUploaded:
				v.s.t.Errorf("%s: an event says %s: %+v", key, e.ID, e.Data.Reason)
			}
		}
		if delay := accepted.Sub(at); accepted.IsZero() || !late[key] && delay > most {
			v.s.t.Errorf("%s was accepted after %v", key, delay)
		} else if !late[key] {
			longest = max(longest, delay)
			if delay > mostDelay {
				slow++
				v.s.t.Logf("%s was accepted after %v", key, delay)
			}
		}
	}
	if slow*100 > len(v.published) {
		v.s.t.Errorf("%d of %d jobs waited for longer than %v", slow, len(v.published), mostDelay)
	}
	for document, n := range took {
		if n != 1 {
			v.s.t.Errorf("%s was sent %d times", document, n)
		}
	}
	v.s.t.Logf("%d jobs of others, %d messages, the longest delay %v, that of a publish %v", len(v.published), len(took), longest, v.slowest)
}

// of are the events of one job.
func (e *seen) of(destination, id string) []schemas.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []schemas.Event
	for _, x := range e.all {
		if x.Data.JobID == id && x.Data.Destination == destination {
			all = append(all, x)
		}
	}
	return all
}

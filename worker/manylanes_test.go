package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// publishTo puts a job into the lane of a destination, which accepts it in this test
// whatever it says itself.
func (w *world) publishTo(destination, id string) {
	w.t.Helper()
	lane := schemas.Lane{Class: schemas.Live, Destination: destination}
	data := strings.Replace(string(jobJSON(id, "a")), goodHealth.Destination, destination, 1)
	if _, err := w.js.PublishAsync(schemas.JobSubject(w.prefix, lane), []byte(data)); err != nil {
		w.t.Fatal(err)
	}
}

// acceptedEvents counts the jobs whose acceptance was told.
func (w *world) acceptedEvents() int {
	info, err := w.stream("EVENTS").Info(w.t.Context(), jetstream.WithSubjectFilter(w.prefix+".events.*.*.accepted"))
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, count := range info.State.Subjects {
		n += int(count)
	}
	return n
}

// TestMoreLanesThanTheServersDefault: jobs for more destinations than the queue has
// consumers for, and than nats-server 2.15 allows unasked, are all accepted.
func TestMoreLanesThanTheServersDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Slots = 16
	const lanes = 1100
	for i := range lanes {
		w.publishTo(fmt.Sprint("d-", i), fmt.Sprint("job-", i))
	}
	<-w.js.PublishAsyncComplete()
	w.start(&script{post: accepts}, nil)
	w.until("all are accepted", func() bool { return w.acceptedEvents() == lanes })
	if n := w.stream("JOBS").CachedInfo().State.Consumers; n > 500 {
		t.Errorf("%d consumers", n)
	}
}

// TestAFloodInFrontOfAnother: a job is accepted at once although many of another lane
// were published before it.
func TestAFloodInFrontOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const flood = 5000
	for i := range flood {
		w.publishTo("flooded", fmt.Sprint("job-", i))
	}
	<-w.js.PublishAsyncComplete()
	slow := &script{post: accepts}
	slow.deliver = nil
	w.start(slow, nil)
	w.until("the flood is worked on", func() bool { return w.acceptedEvents() > 0 })
	began := time.Now()
	w.publishTo("other", "other")
	w.until("the other one is accepted", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := w.stream("EVENTS").GetLastMsgForSubject(ctx, w.prefix+".events.live.other.accepted")
		return err == nil
	})
	if took, left := time.Since(began), w.waiting(); left < flood/10 {
		t.Logf("it took %s; the flood was over: %d left", took, left)
	} else if took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

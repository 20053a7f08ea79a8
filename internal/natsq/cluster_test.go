package natsq

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// clusterWorld is set up on three servers.
func clusterWorld(t *testing.T) (*world, *devstack.Cluster) {
	t.Helper()
	c := devtest.Cluster(t, 3)
	w := dial(t, c.URL())
	layout := testLayout
	layout.Replicas = 3
	w.setUp(layout)
	return w, c
}

// leadBoth brings the stream of jobs and a lane's consumer under one leader and
// gives its number.
func (w *world) leadBoth(ctx context.Context, c *devstack.Cluster, lane schemas.Lane) int {
	w.t.Helper()
	for {
		stream, err := c.StreamLeader(ctx, w.stream(jobs))
		must(w.t, err)
		consumer, err := c.ConsumerLeader(ctx, w.stream(jobs), consumerName(lane))
		must(w.t, err)
		if stream == consumer {
			return stream
		}
		// Whether it stepped down is seen above: the answer may be lost to the election.
		w.nc.Request("$JS.API.CONSUMER.LEADER.STEPDOWN."+w.stream(jobs)+"."+consumerName(lane), nil, apiTimeout)
	}
}

// TestTheLeaderDies kills the server that leads a lane and its stream, with a
// job leased, one given up, an ask open, a schedule waiting, and an event and
// jobs being published. All of it comes to its end, once.
func TestTheLeaderDies(t *testing.T) {
	t.Parallel()
	w, c := clusterWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	const lease = 3 * time.Second
	intake := w.take(LaneSettings{Concurrency: 100, Lease: lease}, 64, defaultPace)
	for _, id := range []string{"held", "given-up"} {
		must(t, w.Outbox().Submit(ctx, lane1, id, []byte(id)))
	}
	look(t, intake)
	number := askFor(t, intake, lane1, 2, time.Hour)
	held, lostOne := job(t, intake), job(t, intake)
	wantDone(t, intake, number, lane1, 0, false)
	if string(held.Data()) != "held" {
		held, lostOne = lostOne, held
	}
	due := time.Now().Add(2 * time.Second)
	must(t, w.Outbox().Later(ctx, worker.Schedule{Lane: lane1, JobID: "scheduled", Data: []byte("scheduled"), Attempt: 2, At: due}))
	askFor(t, intake, lane1, 20, 30*time.Second)

	must(t, c.Nodes[w.leadBoth(ctx, c, lane1)].Kill())
	acked := make(chan error, 1)
	go func() { acked <- held.Ack(ctx) }()
	ends := make(chan error, 4)
	go func() { ends <- w.Outbox().Tell(ctx, lane1, eventOf(lane1, "a", schemas.StatusUploaded)) }()
	for _, id := range []string{"new-1", "new-2", "new-3"} {
		go func() { ends <- w.Outbox().Submit(ctx, lane1, id, []byte(id)) }()
	}
	got := w.collect(ctx, intake, "given-up", "new-1", "new-2", "new-3", "scheduled")
	for range cap(ends) {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	// The acknowledgement may be given up while there is no leader: then the
	// job's lease has ended too, and it comes back.
	if err := <-acked; err != nil {
		t.Logf("the acknowledgement: %v", err)
		if !got["held"] {
			w.collect(ctx, intake, "held")
		}
	}
	// A job may have a second copy, where the answer to its publisher was lost. A
	// scheduled one leaves its own stream a moment after it was moved.
	until(t, "no job is stored", func() bool {
		select {
		case a := <-intake.Answers():
			if a.Delivery != nil {
				ack(t, a.Delivery)
			}
		default:
			_, _ = intake.Ask(lane1, 20, time.Second) // busy while it is asked
		}
		return w.stored(dueJobs, ">")+w.stored(jobs, ">") == 0
	})
	if n := w.stored(events, ">"); n != 1 {
		t.Errorf("%d events are stored, want 1", n)
	}
	if about := w.consumer(lane1); about.NumAckPending != 0 {
		t.Errorf("%d jobs are leased to nobody", about.NumAckPending)
	}
}

// collect takes and ends jobs, asking again as often as an ask ends, until each
// of ids has come. It gives all that came.
func (w *world) collect(ctx context.Context, in *Intake, ids ...string) map[string]bool {
	w.t.Helper()
	got := map[string]bool{}
	for slices.ContainsFunc(ids, func(id string) bool { return !got[id] }) {
		var a worker.Answer
		select {
		case a = <-in.Answers():
		case <-ctx.Done():
			w.t.Fatalf("only %v came", got)
		}
		if a.Delivery != nil {
			ack(w.t, a.Delivery)
			got[string(a.Delivery.Data())] = true
		}
		if !a.Done {
			continue
		}
		until(w.t, "it is asked again", func() bool {
			_, err := in.Ask(lane1, 20, 30*time.Second)
			return err == nil || errors.Is(err, errBusy)
		})
	}
	return got
}

package natsq

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// seldom leaves the sweeps to the test.
var seldom = pace{heartbeat: 5 * time.Second, grace: time.Minute, sweep: 50 * time.Millisecond, reap: time.Hour}

// reap opens an intake whose orphans the test looks for.
func (w *world) reap(capacity int) (*Intake, *reaper) {
	w.t.Helper()
	in := w.take(patient, capacity, seldom)
	return in, newReaper(in)
}

// sweeps looks for orphans n times and gives what was handed over.
func sweeps(t *testing.T, r *reaper, n int) []worker.Delivery {
	t.Helper()
	for range n {
		must(t, r.sweep(t.Context()))
	}
	var got []worker.Delivery
	for len(r.in.Answers()) > 0 {
		got = append(got, job(t, r.in))
	}
	slices.SortFunc(got, func(a, b worker.Delivery) int { return int(a.Sequence()) - int(b.Sequence()) })
	return got
}

// forget publishes n jobs and has the server give them away once and no more: a
// consumer with a limit of deliveries leaves what a killed server does.
func (w *world) forget(lane schemas.Lane, n int) {
	w.t.Helper()
	w.publish(lane, n)
	w.giveUp(lane, n)
}

// giveUp does so with jobs that are there.
func (w *world) giveUp(lane schemas.Lane, n int) {
	w.t.Helper()
	config := (&Intake{conn: w.Conn, settings: patient}).config(worker.LaneState{Lane: lane})
	config.MaxDeliver, config.AckWait = 1, 50*time.Millisecond
	consumer, err := w.js.CreateOrUpdateConsumer(w.t.Context(), w.stream(jobs), config)
	must(w.t, err)
	batch, err := consumer.Fetch(n, jetstream.FetchMaxWait(limit))
	must(w.t, err)
	came := 0
	for range batch.Messages() {
		came++
	}
	if came != n {
		w.t.Fatalf("%d of %d jobs came: %v", came, n, batch.Error())
	}
	until(w.t, "they are given up", func() bool { i := w.consumer(lane); return i.NumAckPending == 0 && i.NumPending == 0 })
}

// forgotten is a world in which n jobs of lane1 are forgotten, and an intake that
// has listed the lane: that sets the limit of deliveries right, which brings
// nothing back.
func forgotten(t *testing.T, n int) (*world, *Intake, *reaper) {
	t.Helper()
	w := newWorld(t)
	w.forget(lane1, n)
	in, r := w.reap(16)
	look(t, in)
	return w, in, r
}

func TestForgottenJobsAreHandedOver(t *testing.T) {
	t.Parallel()
	w, in, r := forgotten(t, 3)
	other, r2 := w.reap(16)
	look(t, other)
	none(t, in, askFor(t, in, lane1, 3, 200*time.Millisecond))
	if got := sweeps(t, r, 1); len(got) != 0 {
		t.Fatalf("%d came at the first sight", len(got))
	}
	got := sweeps(t, r, 1)
	if len(got) != 3 {
		t.Fatalf("%d jobs came, want 3", len(got))
	}
	stream, err := w.js.Stream(t.Context(), w.stream(jobs))
	must(t, err)
	for i, d := range got {
		kept, err := stream.GetMsg(t.Context(), d.Sequence())
		must(t, err)
		if string(d.Data()) != fmt.Sprint("job ", i) || d.Lane() != lane1 || !d.Stored().Equal(kept.Time) || d.Attempt() != 0 {
			t.Errorf("%q of lane %v, stored %s, attempt %d", d.Data(), d.Lane(), d.Stored(), d.Attempt())
		}
		must(t, d.Extend())
	}
	if said := w.said.String(); !strings.Contains(said, `"jobs":3`) || strings.Contains(said, "job 1") {
		t.Errorf("the log:\n%s", said)
	}
	if again := append(sweeps(t, r, 3), sweeps(t, r2, 3)...); len(again) != 0 {
		t.Errorf("%d came that somebody has in hand", len(again))
	}

	ack(t, got[0])
	ack(t, got[0])
	must(t, got[1].GiveBack(time.Hour))
	r.held.hold(got[2].(*orphan).id, time.Now().Add(-2*patient.Lease)) // nobody has spoken of it for long
	if n := w.stored(jobs, ">"); n != 2 {
		t.Errorf("%d jobs are left, want 2", n)
	}
	got = sweeps(t, r, 1)
	if len(got) != 2 {
		t.Fatalf("%d jobs came again, want 2", len(got))
	}
	for _, d := range got {
		ack(t, d)
	}
	if got = sweeps(t, r, 2); len(got) != 0 || w.stored(jobs, ">") != 0 || r.held.any(time.Now()) {
		t.Errorf("%d came, %d are stored", len(got), w.stored(jobs, ">"))
	}
}

// rolledBack is the files of a server's stream, which can be brought back as they
// were: what was removed since is there again, as it may be after a kill, while
// the consumers know of the acknowledgements.
type rolledBack struct {
	server *devstack.ServerProcess
	files  string
	before string
}

// forgetful starts a server whose changes of a stream can be taken back.
func forgetful(t *testing.T, stream string) (*devstack.ServerProcess, *rolledBack) {
	t.Helper()
	dir := t.TempDir()
	server := devtest.NATSProcess(t, devstack.NATSOptions{Dir: dir})
	files := filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs")
	return server, &rolledBack{server: server, files: files, before: filepath.Join(t.TempDir(), "before")}
}

func (f *rolledBack) keep(w *world) {
	f.down(w, func(messages string) error { return os.CopyFS(f.before, os.DirFS(messages)) })
}

func (f *rolledBack) bringBack(w *world) {
	f.down(w, func(messages string) error {
		return errors.Join(os.RemoveAll(messages), os.CopyFS(messages, os.DirFS(f.before)))
	})
}

// down does something to the stream's files while the server is down.
func (f *rolledBack) down(w *world, do func(messages string) error) {
	w.t.Helper()
	must(w.t, f.server.Stop())
	must(w.t, do(f.files))
	must(w.t, f.server.Restart(w.t.Context()))
	until(w.t, "the connection is back", w.Connected)
}

// TestAKilledServersForgottenJobs comes in a lane that is idle, or busy with
// others.
func TestAKilledServersForgottenJobs(t *testing.T) {
	t.Parallel()
	server, files := forgetful(t, "CHARTPOST_JOBS")
	w := joinWorld(t, server.URL())
	in, r := w.reap(16)
	w.publish(lane1, 2)
	must(t, w.Outbox().Later(t.Context(), worker.Schedule{Lane: lane1, JobID: "later", Data: []byte("later"), Attempt: 7, At: time.Now()}))
	subject := schemas.JobSubject(w.prefix, lane1)
	until(t, "the schedule fires", func() bool { return w.stored(jobs, subject) == 3 })
	files.keep(w)
	look(t, in)
	askFor(t, in, lane1, 3, limit)
	taken := []worker.Delivery{job(t, in), job(t, in), job(t, in)}
	next(t, in)
	for _, d := range taken {
		ack(t, d)
	}
	files.bringBack(w)
	look(t, in)
	if n := w.stored(jobs, subject); n != 3 {
		t.Fatalf("%d jobs are back, want 3", n)
	}
	none(t, in, askFor(t, in, lane1, 3, 200*time.Millisecond))
	w.publish(lane1, 2) // and the lane is busy: one is leased, one waits
	askFor(t, in, lane1, 1, limit)
	leased := job(t, in)
	next(t, in)
	got := sweeps(t, r, 2)
	if len(got) != 3 {
		t.Fatalf("%d jobs came, want 3", len(got))
	}
	for i, d := range got {
		was := taken[i]
		if d.Sequence() != was.Sequence() || !d.Stored().Equal(was.Stored()) || string(d.Data()) != string(was.Data()) || d.Attempt() != was.Attempt() {
			t.Errorf("%d stored %s attempt %d, want %d %s %d", d.Sequence(), d.Stored(), d.Attempt(), was.Sequence(), was.Stored(), was.Attempt())
		}
		ack(t, d)
	}
	if got[2].Attempt() != 7 {
		t.Errorf("attempt %d of what a schedule brought", got[2].Attempt())
	}
	ack(t, leased)
	askFor(t, in, lane1, 1, limit)
	ack(t, job(t, in)) // the lane flows
	if n := w.stored(jobs, ">"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// TestALimitsForgottenJobsWaitForTheLeased: as long as the consumer has jobs in
// hand that lie above them, they cannot be told from those.
func TestALimitsForgottenJobsWaitForTheLeased(t *testing.T) {
	t.Parallel()
	w, in, r := forgotten(t, 2)
	w.publish(lane1, 2)
	askFor(t, in, lane1, 1, limit)
	leased := job(t, in)
	next(t, in)
	if got := sweeps(t, r, 3); len(got) != 0 {
		t.Fatalf("%d came", len(got))
	}
	ack(t, leased)
	var got []worker.Delivery
	until(t, "the forgotten jobs come", func() bool {
		got = append(got, sweeps(t, r, 1)...)
		return len(got) >= 2
	})
	if len(got) != 2 || got[0].Sequence() != 1 || got[1].Sequence() != 2 || got[0].Pending() != 1 {
		for _, d := range got {
			t.Logf("job %d came, %d behind it", d.Sequence(), d.Pending())
		}
		t.Fatalf("%d came, want the first two; the consumer is %+v", len(got), w.consumer(lane1))
	}
}

func TestSweepsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forget(lane1, mostOrphans+2)
	w.forget(lane2, 2)
	in, r := w.reap(2 * mostOrphans)
	look(t, in)
	all := 0
	for n := 0; all < mostOrphans+4; n++ {
		got := sweeps(t, r, 1)
		if len(got) > mostOrphans || n > 20 {
			t.Fatalf("%d came at sweep %d, %d of all", len(got), n, all)
		}
		for _, d := range got {
			ack(t, d)
		}
		all += len(got)
	}
	if n := w.stored(jobs, ">"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

func TestAPausedLanesForgottenJobsWait(t *testing.T) {
	t.Parallel()
	w, _, r := forgotten(t, 1)
	w.put(paused(lane1, time.Now().Add(time.Hour)))
	w.publish(lane1, 1)
	until(t, "the paused consumer counts what waits", func() bool { return w.consumer(lane1).NumPending == 1 })
	if got := sweeps(t, r, 3); len(got) != 0 {
		t.Errorf("%d jobs of a paused lane came", len(got))
	}
	w.put(worker.LaneState{Lane: lane1})
	if got := sweeps(t, r, 2); len(got) != 1 || got[0].Sequence() != 1 {
		t.Errorf("%v came", got)
	}
}

// TestALaneMadeAnew: its consumer delivers what the old one forgot, and nothing
// is an orphan; nor is anything without a consumer.
func TestALaneMadeAnew(t *testing.T) {
	t.Parallel()
	w, in, r := forgotten(t, 2)
	if got := sweeps(t, r, 1); len(got) != 0 {
		t.Fatal("at the first sight")
	}
	must(t, w.js.DeleteConsumer(t.Context(), w.stream(jobs), consumerName(lane1)))
	if got := sweeps(t, r, 2); len(got) != 0 {
		t.Errorf("%d came", len(got))
	}
	in.lanes.forget(lane1)
	look(t, in)
	askFor(t, in, lane1, 2, limit)
	for range 2 {
		ack(t, job(t, in))
	}
}

// TestAnotherStreamsMessageStays: the stream was made anew, and its sequences
// begin again.
func TestAnotherStreamsMessageStays(t *testing.T) {
	t.Parallel()
	w, _, r := forgotten(t, 1)
	got := sweeps(t, r, 2)
	must(t, w.js.DeleteStream(t.Context(), w.stream(jobs)))
	w.setUp(testLayout)
	w.publish(lane1, 1)
	ack(t, got[0])
	if n := w.stored(jobs, ">"); n != 1 {
		t.Errorf("%d jobs are there, want the new one", n)
	}
}

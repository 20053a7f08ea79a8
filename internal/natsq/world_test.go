package natsq

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestMain lets more tests run at once than there are processors, unless it is
// told how many: they wait for servers more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		flag.Set("test.parallel", "16")
	}
	devtest.Main(m)
}

const day = 24 * time.Hour

var (
	testLayout = Layout{Replicas: 1, EventsAge: 30 * day, DeadAge: 90 * day, AuditAge: 400 * day, LedgerAge: 14 * day, Duplicates: 10 * time.Minute}
	lane1      = schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	lane2      = schemas.Lane{Class: schemas.Backfill, Destination: "other"}
	// patient lets no lease end and no ask fall silent while a test runs.
	patient = LaneSettings{Concurrency: 100, Lease: time.Hour}
	calm    = brisk(pace{heartbeat: 5 * time.Second, grace: time.Minute, sweep: 50 * time.Millisecond})
)

// brisk is a pace whose worker lists the lanes often, and whose lanes take no turns.
func brisk(p pace) pace {
	p.term, p.beat, p.list, p.turn = 3*time.Second, 200*time.Millisecond, 200*time.Millisecond, time.Hour
	return p
}

// limit is how long a test waits for what must happen.
const limit = 3 * time.Minute

// connectTime is how long a connection may take to stand on any machine.
const connectTime = time.Minute

// answerTime is how long a test waits for one answer of a server that is there.
const answerTime = time.Minute

// world is a server, a connection to it, and what was logged.
type world struct {
	*Conn
	// js is the test's own, on the same connection: it waits for answerTime.
	js   jetstream.JetStream
	t    *testing.T
	said *devtest.Log
}

// newWorld connects to a server inside this process and sets it up. It loses no
// answer and does not go away: both are waited for as long as it takes.
func newWorld(t *testing.T) *world {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	w := joinWorld(t, "", stack.InProcess(), unasked)
	w.Conn.js = w.js
	return w
}

// farWorld does so with a server in a process of its own.
func farWorld(t *testing.T, options ...nats.Option) (*world, *devstack.ServerProcess) {
	t.Helper()
	server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	return joinWorld(t, server.URL(), options...), server
}

func joinWorld(t *testing.T, url string, options ...nats.Option) *world {
	t.Helper()
	w := dial(t, url, options...)
	w.setUp(testLayout)
	return w
}

// setUp goes on until all is there: an answer may come late, or be lost to an
// election.
func (w *world) setUp(layout Layout) {
	w.t.Helper()
	var err error
	defer func() {
		if err != nil {
			w.t.Log(err)
		}
	}()
	until(w.t, "it is set up", func() bool { _, err = w.Setup(w.t.Context(), layout); return err == nil })
}

func dial(t *testing.T, url string, options ...nats.Option) *world {
	t.Helper()
	said := &devtest.Log{}
	options = append([]nats.Option{nats.Timeout(connectTime)}, options...)
	conn, err := Connect(Config{URL: url, Prefix: "chartpost", Name: t.Name(), Options: options}, said.Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	js, err := jetstream.New(conn.nc, jetstream.WithDefaultTimeout(answerTime))
	if err != nil {
		t.Fatal(err)
	}
	return &world{Conn: conn, js: js, t: t, said: said}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	devtest.Until(t, what, limit, holds)
}

// take opens an intake that stops with the test.
func (w *world) take(settings LaneSettings, capacity int, p pace) *Intake {
	w.t.Helper()
	in, err := w.intake(settings, capacity, p)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(in.Stop)
	return in
}

// publish puts n jobs into a lane as a stranger does.
func (w *world) publish(lane schemas.Lane, n int) {
	w.t.Helper()
	for i := range n {
		w.send(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane), Data: fmt.Appendf(nil, "job %d", i)})
	}
}

func (w *world) send(msg *nats.Msg) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	if err := retry.Do(ctx, hopeless, func(ctx context.Context) error { _, err := w.js.PublishMsg(ctx, msg); return err }); err != nil {
		w.t.Fatal(err)
	}
}

// look waits until every lane that holds jobs can be asked, and gives those.
func look(t *testing.T, in *Intake) []worker.Depth {
	t.Helper()
	var depths []worker.Depth
	until(t, "the lanes are offered", func() bool {
		stream, err := in.conn.js.Stream(t.Context(), in.conn.stream(jobs))
		if err != nil {
			return false
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(in.conn.prefix+".jobs.>"))
		if err != nil {
			return false
		}
		depths = nil
		offered := map[schemas.Lane]worker.Depth{}
		for _, depth := range in.Offer().Lanes {
			if depth.Served {
				offered[depth.Lane] = depth
			}
		}
		for subject := range info.State.Subjects {
			lane, err := schemas.ParseJobSubject(in.conn.prefix, subject)
			if err != nil {
				continue
			}
			depth, ok := offered[lane]
			if !ok {
				return false
			}
			depths = append(depths, depth)
		}
		return true
	})
	return depths
}

func askFor(t *testing.T, in *Intake, lane schemas.Lane, n int, wait time.Duration) uint64 {
	t.Helper()
	number, err := in.Ask(lane, n, wait)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func next(t *testing.T, in *Intake) worker.Answer {
	t.Helper()
	select {
	case a := <-in.Answers():
		return a
	case <-time.After(limit):
		t.Fatal("no answer came")
		return worker.Answer{}
	}
}

// job is the next answer, which must be a delivery.
func job(t *testing.T, in *Intake) worker.Delivery {
	t.Helper()
	a := next(t, in)
	if a.Delivery == nil {
		t.Fatalf("%+v, want a delivery", a)
	}
	return a.Delivery
}

func wantDone(t *testing.T, in *Intake, number uint64, lane schemas.Lane, unfilled int, refused bool) {
	t.Helper()
	want := worker.Answer{Lane: lane, Ask: number, Done: true, Unfilled: unfilled, Refused: refused}
	if got := next(t, in); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

func ack(t *testing.T, d worker.Delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
}

// stored counts the messages of a stream under a subject.
func (w *world) stored(stream, subject string) int {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), w.stream(stream))
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, count := range info.State.Subjects {
		n += int(count)
	}
	return n
}

// consumer tells of a lane's consumer.
func (w *world) consumer(lane schemas.Lane) *jetstream.ConsumerInfo {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), w.stream(jobs), consumerName(lane))
	if err != nil {
		w.t.Fatal(err)
	}
	return c.CachedInfo()
}

package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestMain(m *testing.M) { devtest.Main(m) }

var lane = schemas.Lane{Class: schemas.Live, Destination: "good-health"}

// world is a queue and a ledger on a real server.
type world struct {
	t      *testing.T
	queue  *natsq.Conn
	ledger *ledger.Ledger
	js     jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	queue, err := natsq.Connect(natsq.Config{Prefix: "chartpost", Options: []nats.Option{stack.InProcess()}}, new(devtest.Log).Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	if _, err := queue.Setup(t.Context(), natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", stack.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, queue: queue, ledger: ledger.New(bucket, ledger.Patience), js: js}
}

func (w *world) desk(by string) *Desk {
	return &Desk{Letters: w.queue, Publisher: w.queue.Outbox(), Ledger: w.ledger, Prefix: "chartpost", By: "operator " + by, Now: time.Now}
}

// job is a job as published; version tells two of the same id apart.
func job(id, version string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":"2099-01-01T00:00:00Z",
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf"}],
		"correlation":{"version":%q},
		"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}}`, id, version)
}

func (w *world) bury(id string, data []byte, status schemas.Status) {
	w.t.Helper()
	err := w.queue.Outbox().Bury(w.t.Context(), worker.DeadLetter{
		Lane: lane, Data: data, Key: fmt.Sprintf("dead/7/%s/4/%s", digest(data)[:16], status), JobID: id, Status: status,
		Reason: schemas.Reason{Kind: "unknown_outcome", Code: "no_answer", Text: "no answer came"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) record(id string, data []byte, phase pipeline.Phase) {
	w.t.Helper()
	_, created, err := w.ledger.Open(w.t.Context(), id, pipeline.Record{Phase: phase, Attempt: 4, Sequence: 7, Digest: digest(data), Owner: "w-1",
		Reason: &schemas.Reason{Kind: "unknown_outcome", Code: "no_answer"}, UpdatedAt: time.Now().UTC()})
	if err != nil || !created {
		w.t.Fatal(created, err)
	}
}

// held is a job that ended as unknown.
func (w *world) held(id string) []byte {
	data := job(id, "1")
	w.record(id, data, pipeline.Held)
	w.bury(id, data, schemas.StatusUnknown)
	return data
}

func (w *world) found(id string) pipeline.Record {
	w.t.Helper()
	record, ok, err := w.ledger.Find(w.t.Context(), id)
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	return record
}

// stored reads all messages of a stream.
func (w *world) stored(name string) []*jetstream.RawStreamMsg {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	state := s.CachedInfo().State
	var all []*jetstream.RawStreamMsg
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		msg, err := s.GetMsg(w.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, msg)
	}
	return all
}

// want holds the streams to their numbers of jobs, events and dead letters.
func (w *world) want(what string, jobs, events, dead int) {
	w.t.Helper()
	for name, n := range map[string]int{"JOBS": jobs, "EVENTS": events, "DEAD": dead} {
		if got := len(w.stored("CHARTPOST_" + name)); got != n {
			w.t.Errorf("%s: %s has %d messages, want %d", what, name, got, n)
		}
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := w.held("a")
	// The stream still remembers the job's own id.
	if _, err := w.queue.Outbox().Submit(t.Context(), lane, "a", data); err != nil {
		t.Fatal(err)
	}
	if outcome, err := w.desk("ann").Resend(t.Context(), "a"); err != nil || outcome != Resent {
		t.Fatal(outcome, err)
	}
	w.want("resend", 2, 0, 0)
	sent := w.stored("CHARTPOST_JOBS")[1]
	if string(sent.Data) != string(data) || sent.Subject != "chartpost.jobs.live.good-health" {
		t.Errorf("%s has %s", sent.Subject, sent.Data)
	}
	r := w.found("a")
	if r.Phase != pipeline.Held || !r.PossibleDuplicate || r.Attempt != 4 || r.Sequence != 7 || r.Owner != "operator ann" {
		t.Errorf("%+v", r)
	}
	if _, err := w.desk("ann").Resend(t.Context(), "a"); !errors.Is(err, ErrNone) {
		t.Errorf("once more: %v", err)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held("a")
	if outcome, err := w.desk("ann").Accept(t.Context(), "a"); err != nil || outcome != Accepted {
		t.Fatal(outcome, err)
	}
	w.want("accept", 0, 1, 0)
	told := w.stored("CHARTPOST_EVENTS")[0]
	event, err := schemas.DecodeEvent(told.Data)
	if err != nil {
		t.Fatal(err)
	}
	if d := event.Data; event.ID != "a/4/accepted" || d.Reason.Code != CodeResolved || d.Correlation["version"] != "1" || d.Operation != "documentreference-create" ||
		d.Receipt != nil || told.Subject != "chartpost.events.live.good-health.accepted" {
		t.Errorf("%s: %+v", told.Subject, event)
	}
	if r := w.found("a"); r.Phase != pipeline.Accepted || r.Receipt != nil || r.Owner != "operator ann" {
		t.Errorf("%+v", r)
	}
}

// TestForgotten: dead letters are kept for longer than records.
func TestForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", job("a", "1"), schemas.StatusUnknown)
	w.bury("b", job("b", "1"), schemas.StatusUnknown)
	if _, err := w.desk("ann").Resend(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if r := w.found("a"); r.Phase != pipeline.Held || !r.PossibleDuplicate || r.Attempt != 4 || r.Digest != digest(job("a", "1")) {
		t.Errorf("%+v", r)
	}
	if _, err := w.desk("ann").Accept(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if r := w.found("b"); r.Phase != pipeline.Accepted {
		t.Errorf("%+v", r)
	}
	w.want("forgotten", 1, 1, 0)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make            func(w *world)
		resend, accept  string // parts of the errors; "" is success
		jobs, ev, stays int
	}{
		"nothing": {make: func(*world) {}, resend: "no dead letter", accept: "no dead letter"},
		"failed": {make: func(w *world) { w.bury("x", job("x", "1"), schemas.StatusFailed) },
			resend: "not unknown but failed", accept: "not unknown but failed", stays: 1},
		"accepted since": {make: func(w *world) {
			w.bury("x", job("x", "1"), schemas.StatusUnknown)
			w.record("x", job("x", "1"), pipeline.Accepted)
		},
			resend: "accepted since", accept: "accepted since", stays: 1},
		"failed since": {make: func(w *world) {
			w.bury("x", job("x", "1"), schemas.StatusUnknown)
			w.record("x", job("x", "1"), pipeline.Failed)
		},
			resend: "not unknown but failed", accept: "not unknown but failed", stays: 1},
		"sending again": {make: func(w *world) {
			w.bury("x", job("x", "1"), schemas.StatusUnknown)
			w.record("x", job("x", "1"), pipeline.Sending)
		},
			accept: "under way again", stays: 0},
		"another version": {make: func(w *world) {
			w.bury("x", job("x", "1"), schemas.StatusUnknown)
			w.record("x", job("x", "2"), pipeline.Held)
		},
			resend: "another version", accept: "another version", stays: 1},
		"expired": {make: func(w *world) {
			data := []byte(strings.Replace(string(job("x", "1")), "2099-01-01T00:00:00Z", "2026-11-20T11:00:00Z", 1))
			w.bury("x", data, schemas.StatusUnknown)
			w.record("x", data, pipeline.Held)
		}, resend: "expires_at has passed", ev: 1, stays: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.make(w)
			desk := w.desk("ann")
			desk.Now = func() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }
			_, accept := error(nil), error(nil)
			if c.accept != "" {
				_, accept = desk.Accept(t.Context(), "x")
			}
			_, resend := desk.Resend(t.Context(), "x")
			if c.accept == "" {
				_, accept = desk.Accept(t.Context(), "x")
			}
			for _, one := range []struct {
				how  string
				err  error
				want string
			}{{"accept", accept, c.accept}, {"resend", resend, c.resend}} {
				if (one.err != nil) != (one.want != "") || one.err != nil && !strings.Contains(one.err.Error(), one.want) || one.err != nil && strings.Contains(one.err.Error(), "\n") {
					t.Errorf("%s: %v, want %q", one.how, one.err, one.want)
				}
			}
			w.want(name, c.jobs, c.ev, c.stays)
		})
	}
}

// TestTheNewestUnknown is meant where a job has several letters.
func TestTheNewestUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", job("a", "1"), schemas.StatusUnknown)
	w.held("b")
	w.bury("a", job("a", "2"), schemas.StatusUnknown)
	w.bury("a", job("a", "3"), schemas.StatusDuplicate)
	w.record("a", job("a", "2"), pipeline.Held)
	if _, err := w.desk("ann").Resend(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	w.want("resend", 1, 0, 3)
	if sent := w.stored("CHARTPOST_JOBS")[0]; string(sent.Data) != string(job("a", "2")) {
		t.Errorf("%s", sent.Data)
	}
}

// cut is a desk whose n-th call of anything fails, before it does something or
// after.
type cut struct {
	*Desk
	n     int
	after bool
	page  worker.Page
}

var errCut = errors.New("cut off")

func (c *cut) step(do func() error) error {
	c.n--
	if c.n == 0 && !c.after {
		return errCut
	}
	err := do()
	if c.n == 0 {
		return errCut
	}
	return err
}

func (c *cut) Letters(ctx context.Context, each func(natsq.Letter) bool) error {
	return c.step(func() error { return c.Desk.Letters.Letters(ctx, each) })
}

func (c *cut) Content(ctx context.Context, l natsq.Letter) (data []byte, err error) {
	err = c.step(func() error { data, err = c.Desk.Letters.Content(ctx, l); return err })
	return data, err
}

func (c *cut) Remove(ctx context.Context, l natsq.Letter) error {
	return c.step(func() error { return c.Desk.Letters.Remove(ctx, l) })
}

func (c *cut) Submit(ctx context.Context, lane schemas.Lane, id string, data []byte) (known bool, err error) {
	err = c.step(func() error { known, err = c.Desk.Publisher.Submit(ctx, lane, id, data); return err })
	return known, err
}

func (c *cut) Tell(ctx context.Context, lane schemas.Lane, e schemas.Event) error {
	return c.step(func() error { return c.Desk.Publisher.Tell(ctx, lane, e) })
}

func (c *cut) Open(ctx context.Context, id string, fresh pipeline.Record) (page worker.Page, created bool, err error) {
	err = c.step(func() error { c.page, created, err = c.Desk.Ledger.Open(ctx, id, fresh); return err })
	return c, created, err
}

func (c *cut) Find(ctx context.Context, id string) (record pipeline.Record, ok bool, err error) {
	err = c.step(func() error { record, ok, err = c.Desk.Ledger.Find(ctx, id); return err })
	return record, ok, err
}

func (c *cut) Record() pipeline.Record { return c.page.Record() }

func (c *cut) Save(ctx context.Context, r pipeline.Record) error {
	return c.step(func() error { return c.page.Save(ctx, r) })
}

// TestInterruptedAnywhere: whatever step a decision dies at, before or after
// its effect, a repeat brings it to the same end, once.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jobs, events := 0, 0
	for _, how := range []string{"resend", "accept"} {
		for _, after := range []bool{false, true} {
			for n, cutOff := 1, true; cutOff; n++ {
				id := fmt.Sprintf("%s-%v-%d", how, after, n)
				if n%2 == 0 {
					w.bury(id, job(id, "1"), schemas.StatusUnknown) // forgotten by the ledger
				} else {
					w.held(id)
				}
				c := &cut{Desk: w.desk("ann"), n: n, after: after}
				broken := &Desk{Letters: c, Publisher: c, Ledger: c, Prefix: "chartpost", By: "operator ann", Now: time.Now}
				decide := func(d *Desk) error {
					if how == "resend" {
						jobs++
						_, err := d.Resend(t.Context(), id)
						return err
					}
					events++
					_, err := d.Accept(t.Context(), id)
					return err
				}
				err := decide(broken)
				if cutOff = errors.Is(err, errCut); !cutOff && err != nil {
					t.Fatal(err)
				}
				gone := len(w.stored("CHARTPOST_DEAD")) == 0
				if cutOff {
					jobs, events = jobs-b(how == "resend"), events-b(how == "accept")
					if err := decide(w.desk("bob")); err != nil && !(gone && errors.Is(err, ErrNone)) {
						t.Errorf("%s, repeated: %v", id, err)
					}
				}
				w.want(id, jobs, events, 0)
				if n > 20 {
					t.Fatal("a decision does not end")
				}
			}
		}
	}
	if jobs < 8 || events < 8 {
		t.Errorf("%d resent and %d accepted: it was hardly ever cut off", jobs, events)
	}
}

func b(v bool) int {
	if v {
		return 1
	}
	return 0
}

// TestManyAtOnce: of many that resend, one job comes of it; and whatever becomes
// of one that is resent and accepted at the same moment, it is not lost.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held("a")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := w.desk(fmt.Sprint("op-", i)).Resend(t.Context(), "a")
			if err != nil && !errors.Is(err, errRace) && !errors.Is(err, ErrNone) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := w.desk("last").Resend(t.Context(), "a"); err != nil && !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	w.want("resent by many", 1, 0, 0)
	for round := range 20 {
		id := fmt.Sprint("b-", round)
		w.held(id)
		jobs := len(w.stored("CHARTPOST_JOBS"))
		all.Go(func() { w.desk("ann").Resend(t.Context(), id) })
		all.Go(func() { w.desk("bob").Accept(t.Context(), id) })
		all.Wait()
		accepted, sent := w.found(id).Phase == pipeline.Accepted, len(w.stored("CHARTPOST_JOBS")) > jobs
		if left := len(w.stored("CHARTPOST_DEAD")); !accepted && !sent && left == 0 {
			t.Fatalf("round %d: the job is lost", round)
		}
		w.desk("ann").Accept(t.Context(), id)
	}
}

package natsq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

const parent = schemas.Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// schedules has a job come later, with all that a schedule carries.
func (w *world) schedules(id string, attempt int, at time.Time) {
	w.t.Helper()
	ctx := schemas.WithTrace(w.t.Context(), parent)
	must(w.t, w.Outbox().Later(ctx, worker.Schedule{
		Lane: lane2, JobID: id, Data: []byte("job " + id), Attempt: attempt, Line: worker.Line{Run: "r", Number: 3}, At: at,
	}))
}

// schedule is the one of a job that stands; nil for none.
func (w *world) schedule(id string) *jetstream.RawStreamMsg {
	w.t.Helper()
	msg, err := w.find(w.t.Context(), dueJobs, leaderGet{LastOf: schemas.LaterSubject(w.prefix, schemas.KeyOf(lane2, id))})
	must(w.t, err)
	return msg
}

// sweeper looks for overdue schedules when it is told to, and has the tenure.
func (w *world) sweeper() *overdue {
	one := newTenure(w.Conn, w.t.Name(), time.Hour)
	one.until = time.Now().Add(time.Hour)
	late := newOverdue(&Intake{conn: w.Conn, pace: defaultPace}, one)
	late.most = time.Hour
	return late
}

// smallWorld has a server whose store is soon full.
func smallWorld(t *testing.T) *world {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true, MaxFileStore: 4 << 20})
	w := joinWorld(t, "", stack.InProcess(), unasked)
	w.Conn.js = w.js
	return w
}

// strand has schedules come due while the store is full, and makes room again.
// They are stranded when one that was written after that has fired, and they have
// not.
func (w *world) strand(ids ...string) {
	w.t.Helper()
	fill, err := w.js.CreateOrUpdateStream(w.t.Context(), jetstream.StreamConfig{Name: "FILL", Subjects: []string{"fill"}})
	must(w.t, err)
	until(w.t, "the server passes over schedules", func() bool {
		at := time.Now().Add(2 * time.Second)
		for i, id := range ids {
			w.schedules(id, i+2, at)
		}
		for err = nil; err == nil; _, err = w.js.Publish(w.t.Context(), "fill", make([]byte, 100_000)) {
		}
		until(w.t, "their time has come", func() bool { return time.Since(at) > 3*time.Second })
		must(w.t, fill.Purge(w.t.Context()))
		w.schedules("other", 2, time.Now())
		until(w.t, "another one fires", func() bool { return w.schedule("other") == nil })
		w.drainLane(lane2)
		for _, id := range ids {
			if w.schedule(id) == nil {
				return false // a slow machine: it was fired when there was room
			}
		}
		return true
	})
}

// drainLane removes the jobs of a lane.
func (w *world) drainLane(lane schemas.Lane) {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), w.stream(jobs))
	must(w.t, err)
	for {
		msg, err := w.find(w.t.Context(), jobs, leaderGet{NextOf: schemas.JobSubject(w.prefix, lane), Sequence: 1})
		must(w.t, err)
		if msg == nil {
			return
		}
		must(w.t, stream.DeleteMsg(w.t.Context(), msg.Sequence))
	}
}

// TestSchedulesThatCameDueWhileTheStoreWasFull are written again by one worker,
// not before they are late enough, and bring their jobs once.
func TestSchedulesThatCameDueWhileTheStoreWasFull(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	w.schedules("far", 2, time.Now().Add(day))
	w.send(&nats.Msg{Subject: schemas.LaterSubject(w.prefix, schemas.KeyOf(lane2, "no-schedule")), Data: []byte("a stranger's")})
	w.strand("a", "b")
	far, stuck := w.schedule("far").Sequence, w.schedule("a").Sequence
	late := w.sweeper()
	late.after = time.Hour
	for range 3 {
		must(t, late.sweep(t.Context()))
	}
	late.after = 0
	late.before.life--
	must(t, late.sweep(t.Context())) // the server is another's since the last
	late.tenure.until = time.Time{}
	must(t, late.sweep(t.Context())) // the tenure is another's
	late.tenure.until = time.Now().Add(time.Hour)
	if now := w.schedule("a"); now == nil || now.Sequence != stuck || w.Renewed() != 0 {
		t.Fatalf("the schedule is %v, %d were written again", now, w.Renewed())
	}

	must(t, late.sweep(t.Context()))
	until(t, "the schedules fire", func() bool { return w.schedule("a") == nil && w.schedule("b") == nil })
	in := w.take(patient, 16, calm)
	look(t, in)
	askFor(t, in, lane2, 2, limit)
	for range 2 {
		d := job(t, in)
		id, attempt := strings.TrimPrefix(string(d.Data()), "job "), 2
		if id == "b" {
			attempt = 3
		}
		if d.Attempt(schemas.KeyOf(lane2, id)) != attempt || d.Line() != (worker.Line{Run: "r", Number: 3}) || d.Trace() != parent || string(d.Data()) != "job "+id {
			t.Errorf("%q came, attempt %d, %v, trace %q", d.Data(), d.Attempt(schemas.KeyOf(lane2, id)), d.Line(), d.Trace())
		}
		ack(t, d)
	}
	must(t, late.sweep(t.Context()))
	if n := w.stored(jobs, "chartpost.jobs.>"); n != 0 {
		t.Errorf("%d more jobs came", n)
	}
	if now := w.schedule("far"); now == nil || now.Sequence != far || w.schedule("no-schedule") == nil {
		t.Errorf("the schedule whose time has not come is %v", now)
	}
	if said := w.said.String(); w.Renewed() != 2 || !strings.Contains(said, `"jobs":2`) || strings.Contains(said, "job a") {
		t.Errorf("%d were written again; the log:\n%s", w.Renewed(), said)
	}
}

// TestSchedulesFarBehindAreFound: the front holds others, which stay as they are.
// Here those count as overdue whose time comes within two hours.
func TestSchedulesFarBehindAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range frontLooks + 5 {
		w.schedules(fmt.Sprint("front-", i), 2, time.Now().Add(day))
	}
	soon := time.Now().Add(time.Hour)
	w.schedules("behind", 2, soon)
	w.schedules("last", 2, time.Now().Add(day))
	behind, first, last := w.schedule("behind").Sequence, w.schedule("front-0").Sequence, w.schedule("last").Sequence
	late := w.sweeper()
	late.after = -2 * time.Hour
	until(t, "it is written again", func() bool {
		must(t, late.sweep(t.Context()))
		return w.schedule("behind").Sequence > behind
	})
	if at, ok := dueAt(w.schedule("behind").Header); !ok || at.Before(soon) || at.Sub(soon) > time.Second {
		t.Errorf("it is for %s, want %s", at, soon)
	}
	if w.schedule("front-0").Sequence != first || w.schedule("last").Sequence != last || w.Renewed() != 1 {
		t.Errorf("%d were written again, want one", w.Renewed())
	}
	if late.next != 0 {
		t.Errorf("the next sweep goes on at %d", late.next)
	}

	walk := &walk{overdue: late, last: last, until: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		from uint64
		n    int
		next uint64
	}{{1, 3, first + 3}, {first + 3, 2, first + 5}, {first, 1000, 0}, {last + 1, 1, 0}} {
		if next, err := walk.over(t.Context(), c.from, c.n); next != c.next || err != nil {
			t.Errorf("%d from %d on end at %d, %v; want %d", c.n, c.from, next, err, c.next)
		}
	}
	walk.slow = true
	if next, err := walk.over(t.Context(), 1, 3); next != 1 || err != nil {
		t.Errorf("after a slow answer it went on to %d, %v", next, err)
	}
}

// TestANewerScheduleStands, and one that was fired does not come back.
func TestANewerScheduleStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedules("a", 2, time.Now().Add(time.Hour))
	old := w.schedule("a")
	w.schedules("a", 3, time.Now().Add(2*time.Hour))
	newer := w.schedule("a")
	if done, err := w.reschedule(t.Context(), old, time.Now()); done || err != nil {
		t.Errorf("the older was written: %v, %v", done, err)
	}
	if now := w.schedule("a"); now == nil || now.Sequence != newer.Sequence {
		t.Errorf("%v stands", now)
	}
	w.schedules("a", 4, time.Now())
	until(t, "it fires", func() bool { return w.schedule("a") == nil })
	if done, err := w.reschedule(t.Context(), newer, time.Now()); done || err != nil {
		t.Errorf("it was written again: %v, %v", done, err)
	}
	if n := w.stored(jobs, "chartpost.>"); n != 1 {
		t.Errorf("%d messages, want the job alone", n)
	}
}

// TestSchedulesThatAreNeverTaken do not hold up the others: with one more header
// they are larger than the server takes.
func TestSchedulesThatAreNeverTaken(t *testing.T) {
	t.Parallel()
	const most = 4096
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, MaxPayload: most, LazySync: true})
	w := joinWorld(t, "", stack.InProcess(), unasked)
	w.Conn.js = w.js
	at := time.Now().Add(time.Hour)
	header := nats.Header{jetstream.ScheduleHeader: {"@at " + at.UTC().Format(time.RFC3339)}, jetstream.ScheduleTargetHeader: {schemas.DueSubject(w.prefix, lane2)}}
	for i := range mostRefused - 1 {
		msg := &nats.Msg{Subject: schemas.LaterSubject(w.prefix, schemas.KeyOf(lane2, fmt.Sprint("large-", i))), Header: header}
		msg.Data = make([]byte, most-25-(msg.Size()-len(msg.Subject)))
		w.send(msg)
	}
	w.schedules("b", 2, at)
	large, sequence := w.schedule("large-0").Sequence, w.schedule("b").Sequence
	late := w.sweeper()
	late.after = -2 * time.Hour
	until(t, "the other is written again", func() bool {
		must(t, late.sweep(t.Context()))
		return w.Renewed() == 1
	})
	if late.next != 0 || w.schedule("large-0").Sequence != large || w.schedule("b").Sequence <= sequence {
		t.Errorf("the next sweep goes on at %d", late.next)
	}
}

// TestAScheduleThatIsNew has the same time as any other to be fired, whenever that
// should have been.
func TestAScheduleThatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedules("a", 2, time.Now().Add(time.Hour))
	schedule := w.schedule("a")
	schedule.Header.Set(jetstream.ScheduleHeader, "@at 2026-01-01T00:00:00Z")
	for by, want := range map[time.Duration]int{-time.Second: 0, time.Second: 1} {
		walk := &walk{overdue: &overdue{conn: w.Conn}, latest: schedule.Time.Add(by)}
		if err := walk.look(t.Context(), schedule); err != nil || walk.written != want {
			t.Errorf("stored %s before: %d written, %v", by, walk.written, err)
		}
	}
}

func TestDueAt(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 1, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"@at 2026-11-20T10:00:01Z": at, "@at 2026-11-20T11:00:01+01:00": at,
		"": {}, "@every 1s": {}, "@at": {}, "@at soon": {}, "* * * * * *": {},
	} {
		header := nats.Header{jetstream.ScheduleHeader: {value}}
		if got, ok := dueAt(header); ok != !want.IsZero() || ok && !got.Equal(want) {
			t.Errorf("%q: %s, %v", value, got, ok)
		}
	}
}

package natsq

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// overdue looks for schedules that the server does not fire although their time
// has come, and writes them again, upon which it does.
//
// Seen with nats-server 2.15.2: a schedule is marked as being fired before its job
// is stored in the lane. When that is refused because the store is full, the mark
// stays and the schedule is passed over, also when there is room again, until it
// is written anew, the server is started again, or the stream has another leader.
//
// Whether one is overdue is told by the server's clock alone, so that no job comes
// early. It is replaced by compare-and-set and keeps its time and attempt: a newer
// one stands, one that was fired does not come back, and of two copies of one
// attempt the second is stale. In a replicated stream a firing may be on its way
// unseen, and would take with it whatever schedule the job has by then; so nothing
// is written before a leader was there for a whole sweep, and no more in a sweep
// after an answer that came slowly.
type overdue struct {
	conn   *Conn
	tenure *tenure
	// after is how long a schedule may be late, and most how long a sweep may last.
	after, most time.Duration
	// before is what served the stream at the last sweep; zero where that looked
	// at nothing.
	before serving
	// next is the sequence at which the next sweep goes on; 0 is behind the front.
	next uint64
}

const (
	// frontLooks is how many schedules a sweep reads from the front, where those
	// stand that were written longest ago: what is due and stays gets there in no
	// longer than jobs wait for an attempt, however many wait.
	frontLooks = 64
	// furtherLooks is how many it reads of all others, from where the last sweep
	// ended.
	furtherLooks = 1000
	// mostRefused is how many may not be taken before a part of a sweep is given
	// up: one that the server never takes must not hold up the others.
	mostRefused = 3
	// slowAnswer is longer than the server takes when nothing is in its way.
	slowAnswer = time.Second
)

func newOverdue(in *Intake, t *tenure) *overdue {
	// A sweep must not outlast the tenure, which is renewed between sweeps.
	return &overdue{conn: in.conn, tenure: t, after: in.pace.late, most: in.pace.term / 4}
}

// serving is who answers for a stream, and the number of the connection's life.
type serving struct {
	leader string
	life   uint64
	known  bool
}

// sweep looks at some of the schedules, if there are any. Only the worker with the
// tenure calls it.
func (o *overdue) sweep(ctx context.Context) error {
	before := o.before
	o.before = serving{}
	_, err := o.conn.fromLeader(ctx, o.conn.stream(dueJobs), leaderGet{NextOf: o.subjects(), Sequence: 1})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	stream, err := o.conn.js.Stream(ctx, o.conn.stream(dueJobs))
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	o.before = serving{life: o.conn.life(), known: true}
	if info.Cluster != nil {
		o.before.leader = info.Cluster.Leader
	}
	if before != o.before {
		return nil
	}
	w := &walk{overdue: o, latest: info.TimeStamp.Add(-o.after), last: info.State.LastSeq, until: time.Now().Add(o.most)}
	behind, err := w.over(ctx, 1, frontLooks)
	if behind > 0 {
		var further error
		o.next, further = w.over(ctx, max(o.next, behind), furtherLooks)
		err = errors.Join(err, further)
	}
	if w.written > 0 {
		o.conn.renewed.Add(uint64(w.written))
		o.conn.log.Info("the queue did not fire schedules whose time had come; they are written again", "jobs", w.written)
	}
	return err
}

func (o *overdue) subjects() string { return schemas.LaterSubjects(o.conn.prefix) }

// walk is one sweep.
type walk struct {
	*overdue
	// latest is before which a schedule was due that is overdue, by the server's
	// clock; last is the sequence behind which lies what is new.
	latest  time.Time
	last    uint64
	until   time.Time
	written int
	slow    bool
}

// over looks at up to n schedules, from a sequence on, and gives the sequence that
// follows: 0 at the end of all.
func (w *walk) over(ctx context.Context, from uint64, n int) (next uint64, err error) {
	refused := 0
	for ; n > 0 && !w.enough(); n-- {
		msg, err := w.conn.fromLeader(ctx, w.conn.stream(dueJobs), leaderGet{NextOf: w.subjects(), Sequence: from})
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Sequence > w.last {
			return 0, nil
		}
		if err != nil {
			return from, err
		}
		from = msg.Sequence + 1
		if err := w.look(ctx, msg); err != nil {
			if refused++; refused == mostRefused {
				return from, err
			}
		}
	}
	return from, nil
}

func (w *walk) enough() bool {
	now := time.Now()
	return w.slow || now.After(w.until) || !w.tenure.mine(now)
}

// look writes a schedule again that is overdue, and has been in the stream for as
// long.
func (w *walk) look(ctx context.Context, schedule *jetstream.RawStreamMsg) error {
	at, ok := dueAt(schedule.Header)
	if !ok || !at.Before(w.latest) || !schedule.Time.Before(w.latest) {
		return nil
	}
	began := time.Now()
	done, err := w.conn.reschedule(ctx, schedule, at)
	w.slow = w.slow || time.Since(began) > slowAnswer
	w.conn.tried("publishing schedules", schedule.Subject, began, err)
	if done {
		w.written++
	}
	return err
}

// dueAt is when a schedule is to be fired; ok is false for what is none of ours.
func dueAt(header nats.Header) (at time.Time, ok bool) {
	at, err := time.Parse(time.RFC3339, strings.TrimPrefix(header.Get(jetstream.ScheduleHeader), "@at "))
	return at.UTC(), err == nil
}

// reschedule replaces a schedule by the same for another time, or for its own.
// done is false where it is gone, because it was fired or replaced meanwhile.
func (c *Conn) reschedule(ctx context.Context, schedule *jetstream.RawStreamMsg, at time.Time) (done bool, err error) {
	msg := nats.NewMsg(schedule.Subject)
	for name, values := range schedule.Header {
		if !strings.HasPrefix(name, "Nats-") { // what the server and the library made
			msg.Header[name] = values
		}
	}
	msg.Data = schedule.Data
	ack, err := c.js.PublishMsg(ctx, msg,
		jetstream.WithExpectLastSequencePerSubject(schedule.Sequence),
		jetstream.WithScheduleAt(at),
		jetstream.WithScheduleTarget(schedule.Header.Get(jetstream.ScheduleTargetHeader)),
	)
	switch {
	case err != nil && lostRace(err):
		return false, nil
	case err == nil:
		err = c.tookIt(ack, dueJobs)
	}
	return err == nil, err
}

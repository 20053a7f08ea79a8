package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// FollowRuns implements worker.Control. What an operator wants of a run is in the
// run's own record: "backfill.<run>", without the records of its feeder and its
// book, which are deeper.
func (c *Control) FollowRuns(ctx context.Context, changed func(run string, cancelled bool), listed func()) {
	f := &runMarks{control: c, changed: changed, listed: listed}
	// The first try may find the server away too.
	_ = retry.Do(ctx, hopeless, func(context.Context) error {
		t := &tail{
			conn: c.conn, stream: c.stream(), what: "the backfill runs", heartbeat: followHeartbeat,
			config: func() jetstream.ConsumerConfig {
				return jetstream.ConsumerConfig{
					FilterSubject: c.subject(backfill.RunPrefix + "*"), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
				}
			},
			listing: f, each: f.take,
		}
		return t.run(ctx, func() error { return nil })
	})
}

// runMarks is where a FollowRuns has come to. A replica that lags behind may list
// a cancelled run as it was before: it tells of the cancel a moment later.
type runMarks struct {
	control *Control
	changed func(run string, cancelled bool)
	listed  func()
	// left is how many records the listing has still to bring; over that it is at
	// its end.
	left uint64
	over bool
}

func (f *runMarks) begin(waiting uint64) (more bool) {
	f.left, f.over = waiting, false
	return waiting > 0 || f.end()
}

func (f *runMarks) listing() bool { return !f.over }

func (f *runMarks) end() (more bool) {
	f.over = true
	f.listed()
	return true
}

func (f *runMarks) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	run, _ := strings.CutPrefix(msg.Subject(), f.control.subject(backfill.RunPrefix))
	f.changed(run, f.cancelled(msg))
	if f.over {
		return true
	}
	// A record that is changed while it waits comes once, later.
	if f.left--; f.left > 0 && meta.NumPending > 0 {
		return true
	}
	return f.end()
}

// cancelled reads a run's record. One that cannot be read, or was removed, cancels
// nothing. Of one of a later version only the state is read.
func (f *runMarks) cancelled(msg jetstream.Msg) bool {
	value := valueOf(nats.Header(msg.Headers()), msg.Data())
	if value == nil {
		return false
	}
	var run struct {
		State backfill.State `json:"state"`
	}
	if err := json.Unmarshal(value, &run); err != nil {
		f.control.conn.log.Warn("the record of a backfill run in the control bucket cannot be read, and cancels nothing")
		return false
	}
	return run.State == backfill.Cancelled || run.State == backfill.Forgotten
}

// lineIn reads the line that a copy of a job was published for. Only originOf may
// ask: any publisher can write the header.
func lineIn(header nats.Header) worker.Line {
	mark, replayed := strings.CutSuffix(header.Get(HeaderBackfill), replayedMark)
	run, number, _ := strings.Cut(mark, "/")
	line, err := strconv.ParseInt(number, 10, 64)
	if err != nil || line < 1 || backfill.CheckRunID(run) != nil {
		return worker.Line{}
	}
	return worker.Line{Run: run, Number: line, Replayed: replayed}
}

// replayedMark ends the header of a copy that a person published again.
const replayedMark = "/replayed"

// setLine puts the line of a copy on another.
func setLine(header nats.Header, line worker.Line) {
	if line.Run == "" {
		return
	}
	mark := line.Run + "/" + strconv.FormatInt(line.Number, 10)
	if line.Replayed {
		mark += replayedMark
	}
	header.Set(HeaderBackfill, mark)
}

// Recall brings the jobs of a run that wait for their next attempt back to their
// lanes at once, and counts them. One that comes back by itself meanwhile is left
// alone.
func (q *RunJobs) Recall(ctx context.Context, run string) (recalled int, err error) {
	stream, err := q.conn.js.Stream(ctx, q.conn.stream(dueJobs))
	if err != nil {
		return 0, fmt.Errorf("recalling the jobs of the run that wait for their next attempt: %w", err)
	}
	last := stream.CachedInfo().State.LastSeq
	err = q.each(ctx, dueJobs, schemas.LaterSubjects(q.conn.prefix), func(msg *jetstream.RawStreamMsg) error {
		if msg.Sequence > last || lineIn(msg.Header).Run != run { // behind the last are our own
			return nil
		}
		done, err := q.recall(ctx, msg)
		if done {
			recalled++
		}
		return err
	})
	if err != nil {
		return recalled, fmt.Errorf("recalling the jobs of the run that wait for their next attempt: %w", err)
	}
	return recalled, nil
}

// recall replaces a schedule by one that is due.
func (q *RunJobs) recall(ctx context.Context, schedule *jetstream.RawStreamMsg) (done bool, err error) {
	err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
		done, err = q.conn.reschedule(ctx, schedule, time.Now())
		return err
	})
	return done, err
}

// each gives the messages of a subject that a stream holds, in the stream's order,
// as its leader has them.
func (q *RunJobs) each(ctx context.Context, stream, subject string, each func(*jetstream.RawStreamMsg) error) error {
	for next := uint64(1); ; {
		var msg *jetstream.RawStreamMsg
		err := retry.Do(ctx, missing, func(ctx context.Context) (err error) {
			msg, err = q.conn.fromLeader(ctx, q.conn.stream(stream), leaderGet{Sequence: next, NextOf: subject})
			return err
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(msg); err != nil {
			return err
		}
		next = msg.Sequence + 1
	}
}

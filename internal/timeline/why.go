package timeline

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/overview"
)

// InLane reports whether a copy of the job waits in its lane for a worker, as far as
// the record, the schedule and the lane say.
func (j *Job) InLane() bool {
	switch {
	case j.Again != nil:
		return true
	case j.Copy == nil:
		return false
	}
	return j.Record == nil || !j.Record.Phase.Final() && j.Schedule == nil
}

// Why says why the job does not move. The answer is empty where it does, where a worker
// has it in hand, and where it has ended.
func Why(ctx context.Context, queue *natsq.Conn, j *Job, now time.Time) (diagnosis.Answer, error) {
	facts, waits := j.facts()
	lane, known := j.Lane()
	if !known || !waits {
		return diagnosis.Answer{}, nil
	}
	seen, err := overview.LookAtLanes(ctx, queue, now)
	if err != nil {
		return diagnosis.Answer{}, err
	}
	facts.Now, facts.Fleet = now, seen.Fleet
	for _, l := range seen.Lanes {
		if l.State.Lane == lane {
			facts.Lane = overview.LaneFacts(l.LaneReport)
		}
	}
	return diagnosis.Why(facts), nil
}

// facts are what is known of the job itself; waits is false where it waits for nothing.
func (j *Job) facts() (f diagnosis.Facts, waits bool) {
	if j.InLane() {
		return diagnosis.Facts{Job: &diagnosis.Job{}}, true
	}
	if j.Schedule == nil || j.Record != nil && j.Record.Phase.Final() {
		return f, false
	}
	job := &diagnosis.Job{Scheduled: j.Schedule.At}
	if j.Record != nil && j.Record.Reason != nil && j.Record.Reason.Code == "predecessor_open" {
		job.Predecessor = j.After()
	}
	return diagnosis.Facts{Job: job}, true
}

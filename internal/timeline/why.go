package timeline

import (
	"context"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
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

// Why says why the job does not move, in a sentence without its end; empty where it
// does, or where it cannot be known.
func Why(ctx context.Context, queue *natsq.Conn, j *Job, now time.Time) (string, error) {
	lane, known := j.Lane()
	if !known || !j.InLane() {
		return "", nil
	}
	control, err := queue.Control(ctx)
	if err != nil {
		return "", err
	}
	reports, err := control.Report(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range reports {
		if r.State.Lane == lane {
			return whyOf(r, now), nil
		}
	}
	return "", nil
}

// whyOf is what a lane's report says to a job that waits in it.
func whyOf(r natsq.LaneReport, now time.Time) string {
	pause, breaker := r.State.Pause, r.State.Breaker
	switch {
	case r.State.Later:
		return "a later version of Chartpost wrote its lane's record; workers of this version take no jobs of the lane"
	case pause != nil && now.Before(pause.Until):
		return fmt.Sprintf("its lane is paused until %s by %s: %s", pause.Until.UTC().Format(time.RFC3339), pause.By, pause.Reason)
	case breaker != nil && breaker.Prober == "" && now.Before(breaker.Until):
		return fmt.Sprintf("its lane is shut until %s, since its destination fails: %s", breaker.Until.UTC().Format(time.RFC3339), breaker.Reason.Code)
	case breaker != nil:
		return "its lane is being probed with one job, since its destination failed: " + breaker.Reason.Code
	case r.Unserved != "":
		return "no worker can take jobs of its lane: " + r.Unserved
	case r.Concurrency > 0 && r.InHand >= uint64(r.Concurrency):
		return fmt.Sprintf("its lane has %d jobs in hand, as many as it may; %d wait", r.InHand, r.Waiting)
	case r.Waiting > 1:
		return fmt.Sprintf("%d jobs wait in its lane", r.Waiting)
	}
	return ""
}

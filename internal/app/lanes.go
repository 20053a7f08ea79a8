package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/worker"
)

// lookWithin bounds how long /readyz waits for the worker's loop.
const lookWithin = 250 * time.Millisecond

// lanesCheck says whether all jobs of the fleet can be taken, as far as this worker
// knows. Lanes that are held (paused, broken) and those that wait for their turn do not
// make the worker unready; the text counts the held ones.
func lanesCheck(s natsq.Standing, look func(context.Context) (worker.Look, bool), shut func() *worker.Shut) health.Check {
	switch {
	case s.Failed > 0:
		return health.Check{Text: fmt.Sprintf("%d lanes hold jobs that no worker can take: the queue refuses their consumers (%s)", s.Failed, s.Reason)}
	case s.Unservable > 0:
		return health.Check{Text: fmt.Sprintf("%d jobs were published to subjects that cannot be read one by one; an administrator must remove them", s.Unservable)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	check := health.Check{OK: true}
	if all, ok := look(ctx); ok {
		check.Text = heldText(telemetry.Held(all.Lanes, shut(), time.Now()))
	}
	return check
}

// heldText counts the lanes of each state; it is empty where none is held.
func heldText(lanes map[diagnosis.State]int) string {
	var parts []string
	for _, state := range diagnosis.States() {
		if n := lanes[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "lanes that hold jobs and do not move: " + strings.Join(parts, ", ")
}

// lookAtAll adds the lanes that this worker does not serve to what it has in hand, so
// that what is told of lanes is told of all that hold jobs.
func lookAtAll(look func(context.Context) (worker.Look, bool), standing func() natsq.Standing) func(context.Context) (worker.Look, bool) {
	return func(ctx context.Context) (worker.Look, bool) {
		out, ok := look(ctx)
		if !ok {
			return out, false
		}
		at := make(map[string]int, len(out.Lanes))
		for i, lane := range out.Lanes {
			at[lane.State.Lane.Name()] = i
		}
		for _, depth := range standing().Lanes {
			if i, known := at[depth.Lane.Name()]; known {
				out.Lanes[i].Jobs = depth.Jobs
				continue
			}
			out.Lanes = append(out.Lanes, worker.LaneLook{State: worker.LaneState{Lane: depth.Lane}, Jobs: depth.Jobs})
		}
		return out, true
	}
}

// unservedLanes counts the lanes that nobody can take a job of, by why.
func unservedLanes(standing func() natsq.Standing) func() telemetry.Unserved {
	return func() telemetry.Unserved {
		s := standing()
		return telemetry.Unserved{Waiting: s.Waiting, Failed: s.Failed, Jobs: s.Unservable}
	}
}

package lane

import (
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestLaneRow(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	later, before := now.Add(time.Hour), now.Add(-time.Hour)
	broken := &worker.Breaker{Until: later, Opened: 3, Reason: schemas.Reason{Kind: "retryable", Code: "status", Text: "busy"}}
	probing := *broken
	probing.Prober = "w-1"
	pause := &worker.Pause{By: "ann", Reason: "maintenance", Until: later.Add(time.Hour)}
	over := *pause
	over.Until = before
	for name, c := range map[string]struct {
		state worker.LaneState
		want  show.Lane
	}{
		"open":             {worker.LaneState{Limit: 3}, show.Lane{State: "open", Limit: 3}},
		"broken":           {worker.LaneState{Breaker: broken}, show.Lane{State: "broken", Until: later, Reason: "status"}},
		"probing":          {worker.LaneState{Breaker: &probing}, show.Lane{State: "probing", Until: later, Reason: "status", By: "w-1"}},
		"paused":           {worker.LaneState{Pause: pause}, show.Lane{State: "paused", Until: pause.Until, Reason: "maintenance", By: "ann"}},
		"both":             {worker.LaneState{Pause: pause, Breaker: broken}, show.Lane{State: "paused, broken", Until: pause.Until, Reason: "maintenance; broken: status", By: "ann"}},
		"over":             {worker.LaneState{Pause: &over}, show.Lane{State: "open"}},
		"over, yet broken": {worker.LaneState{Pause: &over, Breaker: broken}, show.Lane{State: "broken", Until: later, Reason: "status"}},
	} {
		c.state.Lane = schemas.Lane{Class: schemas.Live, Destination: "a"}
		c.want.Class, c.want.Destination, c.want.Waiting, c.want.InHand = "live", "a", 5, 2
		report := natsq.LaneReport{State: c.state, Waiting: 5, InHand: 2}
		if got := laneRow(overview.Lane{LaneReport: report, Why: diagnosis.Why(diagnosis.Facts{Now: now, Lane: overview.LaneFacts(report)})}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestResumedSaysWhatItEnded(t *testing.T) {
	breaker, pause := &worker.Breaker{Reason: schemas.Reason{Code: "status"}}, &worker.Pause{By: "ann"}
	for want, state := range map[string]worker.LaneState{
		"was neither paused nor broken":      {Limit: 1},
		"the pause by ann has ended":         {Pause: pause},
		"the breaker (status) is closed":     {Breaker: breaker},
		"ended and the breaker (status) is ": {Breaker: breaker, Pause: pause},
	} {
		if got := resumed(state); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

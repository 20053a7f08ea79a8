package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func laneOf(class schemas.Class) schemas.Lane { return schemas.Lane{Class: class, Destination: "d"} }

func broken(prober string) *lanes.Breaker {
	return &lanes.Breaker{Until: now.Add(time.Minute), Prober: prober, Reason: schemas.Reason{Code: "redox_status_503"}}
}

func fleet(workers ...Worker) *Fleet { return &Fleet{Workers: workers} }

func gate(code string, after time.Duration) Worker {
	return Worker{Gate: &Gate{Until: now.Add(after), Code: code}}
}

// TestWhy: each cause by itself, and in the order in which they hold.
func TestWhy(t *testing.T) {
	pause := &lanes.Pause{By: "ann", Reason: "x", Until: now.Add(time.Hour)}
	waiting := &Lane{Waiting: 3, Concurrency: 8, InHand: 2}
	backfill := &Lane{Waiting: 3, Concurrency: 8, State: lanes.State{Lane: laneOf(schemas.Backfill)}}
	for name, c := range map[string]struct {
		facts Facts
		want  string
	}{
		"nothing is known":          {Facts{}, ""},
		"it moves":                  {Facts{Fleet: fleet(Worker{}), Lane: &Lane{Waiting: 1, Concurrency: 8}}, ""},
		"one job less than it may":  {Facts{Lane: &Lane{Waiting: 3, Concurrency: 8, InHand: 7}}, "queued"},
		"as many as it may":         {Facts{Lane: &Lane{Waiting: 3, Concurrency: 8, InHand: 8}}, "limit"},
		"an empty lane":             {Facts{Fleet: fleet(Worker{}), Lane: &Lane{Concurrency: 8}}, ""},
		"no worker":                 {Facts{Fleet: fleet(), Lane: waiting}, "no_worker"},
		"no worker, paused, broken": {Facts{Fleet: fleet(), Lane: &Lane{State: lanes.State{Pause: pause, Breaker: broken("")}}}, "no_worker paused broken"},
		"paused and broken":         {Facts{Lane: &Lane{State: lanes.State{Pause: pause, Breaker: broken("")}}}, "paused broken"},
		"probed":                    {Facts{Lane: &Lane{State: lanes.State{Breaker: broken("w")}}}, "probing"},
		"a pause that is over":      {Facts{Lane: &Lane{State: lanes.State{Pause: &lanes.Pause{Until: now}}}}, ""},
		"a later version":           {Facts{Lane: &Lane{State: lanes.LaterState(laneOf(schemas.Live), 1)}}, "later_version"},
		"unserved":                  {Facts{Fleet: fleet(Worker{}), Lane: &Lane{Waiting: 3, Unserved: "waiting_for_turn"}}, "unserved"},
		"all gates are shut":        {Facts{Fleet: fleet(gate("a", time.Minute), gate("b", time.Second)), Lane: waiting}, "gates_shut"},
		"one gate of two":           {Facts{Fleet: fleet(gate("a", time.Minute), Worker{}), Lane: waiting}, "queued"},
		"paused, and gates shut":    {Facts{Fleet: fleet(gate("a", time.Minute)), Lane: &Lane{Waiting: 1, State: lanes.State{Pause: pause}}}, "paused gates_shut"},
		"no room in the budget":     {Facts{Fleet: fleet(Worker{Budget: Budget{NoRoom: true}}), Lane: backfill}, "budget"},
		"room in one of two":        {Facts{Fleet: fleet(Worker{Budget: Budget{NoRoom: true}}, Worker{}), Lane: backfill}, "queued"},
		"live has its own":          {Facts{Fleet: fleet(Worker{Budget: Budget{NoRoom: true}}), Lane: &Lane{Waiting: 3, State: lanes.State{Lane: laneOf(schemas.Live)}}}, "queued"},
		"held by Redox":             {Facts{Fleet: fleet(Worker{Budget: Budget{HeldUntil: now.Add(time.Second)}}, Worker{}), Lane: waiting}, "budget"},
		"scheduled":                 {Facts{Fleet: fleet(Worker{}), Lane: waiting, Job: &Job{Scheduled: now.Add(time.Hour)}}, "scheduled"},
		"scheduled, and paused":     {Facts{Lane: &Lane{State: lanes.State{Pause: pause}}, Job: &Job{Scheduled: now.Add(time.Hour)}}, "scheduled paused"},
		"a predecessor":             {Facts{Lane: waiting, Job: &Job{Scheduled: now.Add(time.Hour), Predecessor: "a"}}, "predecessor"},
		"in its lane":               {Facts{Lane: waiting, Job: &Job{}}, "queued"},
	} {
		c.facts.Now = now
		got := Why(c.facts)
		var states []string
		for _, cause := range got.Causes {
			states = append(states, string(cause.State))
			if cause.Text == "" {
				t.Errorf("%s: %s has no text", name, cause.State)
			}
		}
		if all := strings.Join(states, " "); all != c.want {
			t.Errorf("%s: %q, want %q", name, all, c.want)
		}
	}
}

// TestWords: what a person reads.
func TestWords(t *testing.T) {
	for want, f := range map[string]Facts{
		"the gates of all workers (2) are shut: no jobs are taken until 2026-11-20T10:00:01Z: redox_status_401, s3_refused": {
			Fleet: fleet(gate("s3_refused", time.Minute), gate("redox_status_401", time.Second)), Lane: &Lane{Waiting: 1},
		},
		"no worker is alive; its lane is shut until 2026-11-20T10:01:00Z, since its destination fails: redox_status_503": {
			Fleet: fleet(), Lane: &Lane{State: lanes.State{Breaker: broken("")}},
		},
		"it is scheduled for 2026-11-20T11:00:00Z": {Job: &Job{Scheduled: now.Add(time.Hour)}},
		"job a must be accepted first":             {Job: &Job{Scheduled: now.Add(time.Hour), Predecessor: "a"}},
		"Redox refused a request for the rate; none is sent until 2026-11-20T10:00:09Z": {
			Fleet: fleet(Worker{Budget: Budget{HeldUntil: now.Add(9 * time.Second)}}), Lane: &Lane{Waiting: 1},
		},
		"backfill jobs wait for the request budget; see `chartpost lane budget`": {
			Fleet: fleet(Worker{Budget: Budget{Backfill: 2}}), Lane: &Lane{Waiting: 1, State: lanes.State{Lane: laneOf(schemas.Backfill)}},
		},
	} {
		f.Now = now
		if got := Why(f).Text(); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
}

package backfill

import (
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
)

// limitFlags bound what a feeder publishes, and when.
type limitFlags struct {
	Outstanding int64         `default:"10000" help:"Most jobs of the run that are published and have not ended."`
	PerLane     int64         `default:"500" help:"Most such jobs of one destination."`
	FeederLease time.Duration `default:"15s" help:"How long another feeder waits for a sign of this one before it takes the run over."`
	Failures    string        `name:"stop-after-failures" default:"10%" placeholder:"10%" help:"Pause the run after so many failed jobs: a number, a percentage of those that have ended (from 100 on), or none."`
	Pilot       int64         `placeholder:"N" help:"Publish N jobs, then pause the run for a look; backfill resume goes on." percall:""`
	Window      []string      `placeholder:"DAYS HOURS" help:"Feed only in these hours, like 'Mon-Fri 19:00-07:00,Sat-Sun 00:00-24:00'; jobs that are published go on after them. Empty is always."`
	WindowZone  string        `placeholder:"ZONE" help:"Time zone of --window, like America/New_York."`
}

// limits are those of a feeder; the error has all faults of the flags.
func (f limitFlags) limits() (backfill.Limits, error) {
	var faults []error
	refuse := func(bad bool, flag string, rule any) {
		if bad {
			faults = append(faults, fmt.Errorf("--%s (%s) %v", flag, app.EnvironmentName(flag), rule))
		}
	}
	l := backfill.Limits{Outstanding: f.Outstanding, PerLane: f.PerLane, Lease: f.FeederLease, Pilot: f.Pilot}
	refuse(f.Outstanding < 1, "outstanding", "must be at least 1")
	refuse(f.PerLane < 1, "per-lane", "must be at least 1")
	refuse(f.FeederLease < time.Second, "feeder-lease", "must be at least 1s")
	var err error
	l.Failures, err = backfill.ParseFailureLimit(f.Failures)
	refuse(err != nil, "stop-after-failures", err)
	l.Windows, err = backfill.ParseWindows(f.Window, f.WindowZone)
	refuse(errors.Is(err, backfill.ErrZone), "window-zone", err)
	refuse(err != nil && !errors.Is(err, backfill.ErrZone), "window", err)
	if f.Pilot < 0 {
		faults = append(faults, errors.New("--pilot: must not be negative"))
	}
	return l, errors.Join(faults...)
}

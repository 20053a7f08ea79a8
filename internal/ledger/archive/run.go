package archive

import (
	"context"
	"time"
)

// Every is how often a compactor makes a pass. With DefaultAfter the bucket holds
// the accepted records of three hours: one until they are ripe, one until the next
// pass, and one until the pass after that removes them.
const Every = time.Hour

// again is the wait after a pass that failed, or that left ripe records.
const again = 2 * DefaultGrace

// Run makes a pass at once, and then every hour until ctx ends. mine reports
// whether this worker is the one of the fleet that compacts; where it is not, the
// pass is left out, and asked for again after a while. tell hears of each pass.
// Two that run at once lose nothing; they archive some records twice.
func (a *Archive) Run(ctx context.Context, mine func(context.Context) bool, tell func(Pass, error)) {
	for {
		wait := again
		if mine(ctx) {
			pass, err := a.Compact(ctx, time.Now())
			tell(pass, err)
			if err == nil && !pass.More {
				wait = Every
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

package backfill

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FailureLimit is how many jobs of a run may fail before the run pauses itself. A wrong
// template or a revoked right must not end a whole archive in the dead letters. The zero
// value never pauses a run.
type FailureLimit struct {
	// Number of failed jobs; 0 where Percent counts.
	Number int64
	// Percent of the jobs that have ended, from leastEnded of them on.
	Percent int64
}

// leastEnded is from how many ended jobs on a percentage says anything.
const leastEnded = 100

// ParseFailureLimit reads "50", "10%" or "none".
func ParseFailureLimit(text string) (FailureLimit, error) {
	if text == "none" {
		return FailureLimit{}, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil, n < 1, percent && n > 100:
		return FailureLimit{}, errors.New("must be a number of jobs like 50, a percentage like 10%, or none")
	case percent:
		return FailureLimit{Percent: n}, nil
	}
	return FailureLimit{Number: n}, nil
}

// reached reports whether so many failed jobs of all that ended are too many.
func (l FailureLimit) reached(failed, ended int64) bool {
	switch {
	case l.Number > 0:
		return failed >= l.Number
	case l.Percent > 0:
		return ended >= leastEnded && failed*100 >= ended*l.Percent
	}
	return false
}

// brake counts what ended since a run was last set going.
type brake struct{ failed, ended int64 }

func (b *brake) release(t Tally) { b.failed, b.ended = t.Counts[OutcomeFailed], t.Ended() }

// stopAtFailures pauses the run when too many of its jobs have failed since it was started
// or resumed.
func (f *Feeder) stopAtFailures(ctx context.Context) error {
	if f.book.await(ctx, f.book.attached) != nil {
		return nil
	}
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	var b brake
	b.release(f.book.Tally(f.Current()))
	running := true
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		tally := f.book.Tally(f.Current())
		was := running
		running = f.Current().State == Running
		if running && !was {
			b.release(tally)
		}
		failed, ended := tally.Counts[OutcomeFailed]-b.failed, tally.Ended()-b.ended
		if !running || !f.Failures.reached(failed, ended) {
			continue
		}
		if err := f.pause(ctx, fmt.Sprintf("its feeder: %d of %d jobs failed", failed, ended)); err != nil {
			return err
		}
		running = false
	}
}

// pause stops the feeding as an operator's pause does. by says who and why.
func (f *Feeder) pause(ctx context.Context, by string) error {
	_, err := SetState(ctx, f.Bucket, f.Run.ID, Paused, by, time.Now())
	if errors.Is(err, ErrOver) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pausing the run: %w", err)
	}
	f.state.Store(Paused)
	f.book.stir()
	f.Say(fmt.Sprintf("the run is paused by %s. Jobs that are published go on. Look at them, then `chartpost backfill resume %s` or `chartpost backfill cancel %s`", by, f.Run.ID, f.Run.ID))
	return nil
}

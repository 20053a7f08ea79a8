package backfill

import (
	"context"
	"time"
)

// shut reports whether the run waits for its next window.
func (f *Feeder) shut() bool { return f.work.opens.Load() != nil }

// Opens is when the window opens that the run waits for; zero while one is open.
func (f *Feeder) Opens() time.Time {
	if at := f.work.opens.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// feeding reports whether jobs may be fed now.
func (f *Feeder) feeding() bool { return f.state.Load() == Running && !f.shut() }

// keepHours follows the windows until ctx ends.
func (f *Feeder) keepHours(ctx context.Context) error {
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.lookAtClock()
		case <-ctx.Done():
			return nil
		}
	}
}

// lookAtClock opens or shuts the feeding.
func (f *Feeder) lookAtClock() {
	now := f.Windows.now()
	open, was := f.Windows.Open(now), !f.shut()
	switch {
	case open && !was:
		f.work.opens.Store(nil)
		f.Say("a window is open: the run is fed")
	case !open && was:
		at := f.Windows.Opens(now)
		f.work.opens.Store(&at)
		f.Say("no window is open: nothing is fed until " + at.In(f.Windows.zone).Format("2006-01-02 15:04 MST") + "; jobs that are published go on")
	default:
		return
	}
	if f.book != nil {
		f.book.stir()
	}
}

package outcome

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// Parts are what a follower works with.
type Parts struct {
	// Logs are for what is urgent, and Full for the full sweep, which gives way to
	// others.
	Logs, Full Logs
	Store      Store
	Stream     Stream
	Desk       Desk
	Meter      Meter
	// Mine reports whether this follower is still the one that works.
	Mine func() bool
	// Made is how many requests were made.
	Made func() int
	Now  func() time.Time
	Log  *slog.Logger
}

// Follower follows accepted messages. Run may be called once.
type Follower struct {
	parts    Parts
	settings Settings
	state    *state
	// busy are the searches under way; results are what they have found, to be taken
	// in by the loop.
	busy    [2]bool
	last    int // which kind of urgent search was started last
	results chan func()
	running sync.WaitGroup
	// saved is when the cursor was written last, warned when the log was told that the
	// sweep lags, and words are the unknown words that it was told of.
	saved, warned time.Time
	words         map[string]bool
}

// New makes a follower that has done nothing yet.
func New(settings Settings, parts Parts) *Follower {
	settings.Times = settings.Times.complete()
	return &Follower{parts: parts, settings: settings, state: newState(), results: make(chan func(), 2), words: map[string]bool{}}
}

// ErrNotMine ends the work of a follower whose turn is over.
var ErrNotMine = errors.New("another follower has taken over")

// Run follows until ctx ends, or until another follower has taken over. It waits for
// the searches under way.
func (f *Follower) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer f.running.Wait()
	defer cancel()
	if err := f.load(ctx); err != nil {
		return err
	}
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case take := <-f.results:
			take()
			if f.parts.Mine() {
				f.search(ctx)
			}
			continue
		case <-tick.C:
		}
		err := f.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrChanged) || errors.Is(err, ErrNotMine):
			return ErrNotMine
		case err != nil:
			f.parts.Log.Warn("following outcomes was interrupted and goes on", "error", err)
		}
		tick.Reset(f.settings.Times.Tick)
	}
}

func (f *Follower) load(ctx context.Context) error {
	var errs []error
	err := f.parts.Store.All(ctx, func(key string, value []byte, revision uint64) {
		errs = append(errs, f.state.load(key, value, revision))
	})
	return errors.Join(append(errs, err)...)
}

// turn is what is done each tick: events first, so that nothing is told that was told.
func (f *Follower) turn(ctx context.Context) error {
	if !f.parts.Mine() {
		return ErrNotMine
	}
	if err := f.intake(ctx); err != nil {
		return err
	}
	if err := f.tellAll(ctx); err != nil {
		return err
	}
	if err := f.forget(ctx); err != nil {
		return err
	}
	f.search(ctx)
	return f.report(ctx)
}

// mostEvents is how many events are taken in before they are written down.
const mostEvents = 1000

// intake reads the events to their end.
func (f *Follower) intake(ctx context.Context) error {
	for {
		events, since, err := f.read(ctx)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			if err := f.begin(ctx, since); err != nil {
				return err
			}
		}
		for _, e := range events {
			f.state.take(e, f.settings)
			f.state.cursor.value.Sequence = e.Sequence
			f.state.touched[cursorKey] = true
		}
		if err := f.save(ctx); err != nil || len(events) < mostEvents {
			return err
		}
	}
}

// read gives the next events; since is the time from which on it reads where none was
// read before.
func (f *Follower) read(ctx context.Context) (events []Event, since time.Time, err error) {
	from := f.state.cursor.value.Sequence + 1
	if from == 1 {
		from, since = 0, f.parts.Now().Add(-f.settings.Times.Unconfirmed)
	}
	err = f.parts.Stream.Read(ctx, from, since, func(e Event) bool {
		events = append(events, e)
		return len(events) < mostEvents
	})
	if errors.Is(err, ErrStreamNew) {
		f.parts.Log.Warn("the stream of events was made again: outcomes are followed from its first event on")
		f.state.restart(f.parts.Now())
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("reading the events: %w", err)
	}
	return events, since, err
}

// begin notes since when windows are counted whole, where that is not known: they are
// from now on, and where nothing of the stream was read yet and it still has its first
// event, from the time on from which it is read.
func (f *Follower) begin(ctx context.Context, since time.Time) error {
	cursor := f.state.cursor.value
	if !f.settings.Ours {
		cursor.Whole = time.Time{}
		return nil
	}
	if !cursor.Whole.IsZero() {
		return nil
	}
	_, first, err := f.parts.Stream.Get(ctx, 1)
	if err != nil {
		return fmt.Errorf("reading the first event: %w", err)
	}
	cursor.Whole = f.parts.Now()
	if first && !since.IsZero() {
		cursor.Whole = since
	}
	return nil
}

// save writes what was touched, and the cursor last: what comes before it is written
// again if need be.
func (f *Follower) save(ctx context.Context) error {
	keys := slices.Sorted(maps.Keys(f.state.touched))
	if i := slices.Index(keys, cursorKey); i >= 0 {
		keys = append(slices.Delete(keys, i, i+1), cursorKey)
	}
	for _, key := range keys {
		value, revision, err := f.state.encode(key)
		if err == nil && value != nil {
			if revision, err = f.parts.Store.Write(ctx, key, value, revision); err == nil {
				f.state.wrote(key, revision)
			}
		}
		if err != nil {
			return fmt.Errorf("writing the bucket of outcomes: %w", err)
		}
		delete(f.state.touched, key)
	}
	return nil
}

// tellAll publishes the outcomes that are known and were not told. All events that there
// are have been read.
func (f *Follower) tellAll(ctx context.Context) error {
	now := f.parts.Now()
	for _, key := range slices.Sorted(maps.Keys(f.state.jobs)) {
		j := f.state.jobs[key].value
		if f.state.telling[key] != "" {
			continue
		}
		verdict, due := j.Judge(f.settings.Times, now)
		if !due {
			continue
		}
		if err := f.tell(ctx, j, verdict); err != nil {
			return err
		}
		f.state.telling[key] = verdict.Status
		f.parts.Meter.Told(verdict.Status)
	}
	return nil
}

func (f *Follower) tell(ctx context.Context, j *Job, v Verdict) error {
	was, _, err := f.parts.Stream.Get(ctx, j.Sequence)
	if err != nil {
		return fmt.Errorf("reading an accepted event: %w", err)
	}
	data := schemas.EventData{
		JobID: j.ID, Operation: j.Operation, Class: j.Class, Destination: j.Destination, Status: v.Status, Attempt: j.Attempt,
		Reason: v.Reason, Evidence: v.Evidence,
	}
	if was.JobID == j.ID && was.Destination == j.Destination {
		data.PossibleDuplicate, data.Correlation = was.PossibleDuplicate, was.Correlation
	}
	if !f.parts.Mine() {
		return ErrNotMine
	}
	if err := f.parts.Stream.Tell(ctx, j.lane(), schemas.NewEvent(f.settings.Prefix, data, f.parts.Now())); err != nil {
		return fmt.Errorf("publishing an outcome: %w", err)
	}
	return nil
}

// forget removes jobs whose last outcome was read back, and windows in which there is
// nothing to count.
func (f *Follower) forget(ctx context.Context) error {
	now := f.parts.Now()
	for key, j := range f.state.jobs {
		if !j.value.Done(f.settings.Times, now) {
			continue
		}
		if err := f.parts.Store.Remove(ctx, j.revision); err != nil {
			return fmt.Errorf("writing the bucket of outcomes: %w", err)
		}
		f.state.drop(key)
	}
	for key, w := range f.state.windows {
		if !w.value.over(f.settings.Times, now) || w.value.wanted() {
			continue
		}
		if err := f.parts.Store.Remove(ctx, w.revision); err != nil {
			return fmt.Errorf("writing the bucket of outcomes: %w", err)
		}
		delete(f.state.windows, key)
	}
	return nil
}

// cursorEvery is how often the cursor is written for the sake of what it says of the
// follower.
const cursorEvery = 10 * time.Second

// report tells how the follower stands.
func (f *Follower) report(ctx context.Context) error {
	now := f.parts.Now()
	standing := f.state.standing(now)
	standing.Requests = f.parts.Made()
	behind := now.Sub(standing.SweptTo)
	standing.Binding = !standing.SweptTo.IsZero() && behind > f.settings.Times.Slice+f.settings.Times.Full
	f.state.cursor.value.Standing = standing
	f.parts.Meter.Standing(standing)
	if standing.Binding && now.Sub(f.warned) >= 10*time.Minute {
		f.warned = now
		f.parts.Log.Warn("the sweep of Redox's logs lags: its share of the request budget is used up; nothing is skipped", "behind", behind.Round(time.Second).String(), "waiting", standing.Waiting)
	}
	if now.Sub(f.saved) < cursorEvery && !f.state.touched[cursorKey] {
		return nil
	}
	f.saved = now
	f.state.touched[cursorKey] = true
	return f.save(ctx)
}

// notice says once of each unknown word that Redox uses it.
func (f *Follower) notice(log platform.Log) {
	if log.Status != platform.Unknown || f.words[log.Word] || len(f.words) >= 20 {
		return
	}
	f.words[log.Word] = true
	f.parts.Log.Warn("Redox's logs have a status that is not known here: such messages stay without an outcome", "word", log.Word)
}

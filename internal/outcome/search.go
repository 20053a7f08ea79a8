package outcome

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
)

// The searches that may run at once: one of each.
const (
	urgent = iota
	full
)

// search starts what is due.
func (f *Follower) search(ctx context.Context) {
	now, cursor := f.parts.Now(), f.state.cursor.value
	if f.idle(now) {
		return
	}
	if plan, due := cursor.Full.next(f.settings.Times.Full, f.settings.Times, now); due {
		f.start(ctx, full, f.sweep(f.parts.Full, &cursor.Full, plan))
	}
	if f.busy[urgent] {
		return
	}
	// By turns: where requests are scarce each of them is always due.
	kinds := []func(time.Time) searching{f.exceptions, f.nextCount, f.nextLook}
	for i := range kinds {
		kind := (f.last + 1 + i) % len(kinds)
		if next := kinds[kind](now); next != nil {
			f.last = kind
			f.start(ctx, urgent, next)
			return
		}
	}
}

// exceptions is the search for what failed or was filtered; nil where it is not due.
func (f *Follower) exceptions(now time.Time) searching {
	mark := &f.state.cursor.value.Exceptions
	plan, due := mark.next(f.settings.Times.Exceptions, f.settings.Times, now)
	if !due || len(f.state.jobs) == 0 {
		return nil
	}
	return f.sweep(f.parts.Logs, mark, plan, platform.Failed, platform.Filtered)
}

func (f *Follower) nextCount(now time.Time) searching {
	if w := f.dueWindow(now); w != nil {
		return f.count(w)
	}
	return nil
}

func (f *Follower) nextLook(now time.Time) searching {
	if j := f.dueLook(now); j != nil {
		return f.look(j)
	}
	return nil
}

// idle reports whether nothing is waited for by its log, and moves the marks along: no
// request is made then for a sweep. A first sweep begins with the oldest message.
func (f *Follower) idle(now time.Time) bool {
	cursor := f.state.cursor.value
	if len(f.state.jobs) == 0 {
		if !f.busy[full] && !f.busy[urgent] {
			cursor.Full, cursor.Exceptions = Mark{now, now}, Mark{now, now}
		}
		return len(f.state.windows) == 0
	}
	if cursor.Full.Until.IsZero() {
		oldest := now
		for _, j := range f.state.jobs {
			if j.value.AcceptedAt.Before(oldest) {
				oldest = j.value.AcceptedAt
			}
		}
		cursor.Full.Until, cursor.Exceptions.Until = oldest, oldest
	}
	return false
}

// searching is a search beside the loop, which touches nothing that the loop owns. What
// it gives takes in what was found, and is run by the loop.
type searching func(ctx context.Context) (take func(ctx context.Context))

// start runs a search, unless one of its kind is under way.
func (f *Follower) start(ctx context.Context, which int, search searching) {
	if f.busy[which] {
		return
	}
	f.busy[which] = true
	f.running.Go(func() {
		take := search(ctx)
		select {
		case f.results <- func() { f.busy[which] = false; take(ctx) }:
		case <-ctx.Done():
		}
	})
}

// sweep searches the logs that changed in a time. Only those that are waited for are
// kept.
func (f *Follower) sweep(logs Logs, mark *Mark, plan Plan, statuses ...platform.Status) searching {
	return func(ctx context.Context) func(context.Context) {
		var found []platform.Log
		var err error
		for _, q := range plan.queries(f.settings.SourceID, statuses...) {
			if err = logs.Search(ctx, q, func(log platform.Log) bool {
				if f.state.known(log.ID) {
					found = append(found, log)
				}
				return true
			}); err != nil {
				break
			}
		}
		return func(context.Context) { f.swept(mark, plan, found, err) }
	}
}

// swept takes in a sweep. What was found is true, whether or not it is all.
func (f *Follower) swept(mark *Mark, plan Plan, found []platform.Log, err error) {
	now := f.parts.Now()
	f.note("search", err)
	for _, log := range found {
		f.see(log, now)
	}
	mark.Swept = now
	if err == nil {
		mark.Until = plan.Until
		f.state.touched[cursorKey] = true
	}
}

func (f *Follower) see(log platform.Log, now time.Time) {
	f.notice(log)
	if j := f.state.job(log.ID); j != nil {
		j.value.See(log, now)
	}
}

// note tells of a search's end. The error's kind is what people are shown.
func (f *Follower) note(op string, err error) {
	f.parts.Meter.Searched(op, err)
	trouble := ""
	if e, ok := errors.AsType[*platform.Error](err); ok {
		trouble = string(e.Kind)
	} else if err != nil {
		trouble = "other"
	}
	standing := &f.state.cursor.value.Standing
	if trouble != "" && trouble != string(platform.Interrupted) && trouble != standing.Trouble {
		f.parts.Log.Warn("searching Redox's logs fails; it is tried again, and nothing is concluded from it", "error", err)
	}
	standing.Trouble = trouble
}

// dueLook is the job that is to be looked up first.
func (f *Follower) dueLook(now time.Time) (first *Job) {
	for _, j := range f.state.jobs {
		due := j.value.lookDue(f.settings.Times)
		if j.value.Waits() && !due.After(now) && (first == nil || due.Before(first.lookDue(f.settings.Times))) {
			first = j.value
		}
	}
	return first
}

// look reads a job's logs by their ids.
func (f *Follower) look(j *Job) searching {
	logs := slices.Clone(j.Logs)
	return func(ctx context.Context) func(context.Context) {
		var found []platform.Log
		var failed error
		for _, seen := range logs {
			log, err := f.parts.Logs.Log(ctx, seen.ID)
			if e, ok := errors.AsType[*platform.Error](err); ok && e.Kind == platform.NotFound {
				continue
			}
			if failed = err; err != nil {
				break
			}
			found = append(found, log)
		}
		return func(context.Context) { f.looked(j, found, failed) }
	}
}

func (f *Follower) looked(j *Job, found []platform.Log, err error) {
	now := f.parts.Now()
	f.note("log", err)
	for _, log := range found {
		f.see(log, now)
	}
	if err != nil {
		j.nextLook = now.Add(f.settings.Times.Pause)
		return
	}
	j.looked(f.settings.Times, len(found) > 0, now)
}

// dueWindow is the window that is to be counted first: those of held jobs go first.
func (f *Follower) dueWindow(now time.Time) *Window {
	var due []*Window
	for _, w := range f.state.windows {
		v := w.value
		if v.over(f.settings.Times, now) && v.wanted() && !v.due(f.settings.Times).After(now) && now.After(v.paused) {
			due = append(due, v)
		}
	}
	if len(due) == 0 {
		return nil
	}
	return slices.MinFunc(due, func(a, b *Window) int {
		return cmp.Or(b.Held-a.Held, a.due(f.settings.Times).Compare(b.due(f.settings.Times)), cmp.Compare(a.Begun, b.Begun))
	})
}

// count counts the logs of a window in both modes.
func (f *Follower) count(w *Window) searching {
	begun := w.Sequence
	c := w.tally(f.settings.SourceID, f.settings.Times)
	return func(ctx context.Context) func(context.Context) {
		var err error
		for _, mode := range platform.Modes() {
			c.query.Mode = mode
			if err = f.parts.Logs.Search(ctx, c.query, c.take); err != nil {
				break
			}
		}
		if err == nil && c.strange {
			err = &platform.Error{Op: platform.OpSearch, Kind: platform.Unreadable, Code: codeNotNarrowed}
		}
		return func(ctx context.Context) {
			if w.Sequence == begun { // else a message came in since
				f.counted(ctx, w, c, err)
			}
		}
	}
}

// codeNotNarrowed is that of a search which found what it did not ask for.
const codeNotNarrowed = "not_narrowed"

func (f *Follower) counted(ctx context.Context, w *Window, c *tally, err error) {
	now := f.parts.Now()
	f.note("search", err)
	if err == nil {
		w.add(c.count(now))
		f.state.touched[w.record()] = true
		if err = f.conclude(ctx, w, now); err != nil {
			f.parts.Log.Warn("what the logs of a window show could not be acted upon; it is tried again", "error", err)
		}
	}
	if err != nil {
		w.paused = now.Add(f.settings.Times.Pause)
	}
}

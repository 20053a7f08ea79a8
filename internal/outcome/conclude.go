package outcome

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// conclude acts upon what the counts of a window show.
func (f *Follower) conclude(ctx context.Context, w *Window, now time.Time) error {
	state := w.Conclude(f.settings.Times, now)
	if state == Waiting {
		return nil
	}
	if state == Found || state == NotFound {
		quiet, err := f.parts.Desk.Quiet(ctx, f.names(w), w.Last.Add(f.settings.Times.After))
		if err != nil {
			return fmt.Errorf("asking for the lanes of the destination: %w", err)
		}
		if !quiet {
			return nil // counted again later
		}
		// What left the lanes meanwhile is told by events that were not read yet.
		if err := f.intake(ctx); err != nil {
			return err
		}
		if w.State != Waiting || w.Conclude(f.settings.Times, now) != state {
			return nil // counted again later
		}
	}
	if !f.parts.Mine() {
		return ErrNotMine
	}
	var err error
	switch state {
	case Bound:
		f.bind(w)
	case Open:
		f.giveUp(w, now)
	case Found:
		err = f.found(ctx, w)
	case NotFound:
		err = f.notFound(ctx, w)
	default: // totals need nothing but the record
	}
	if err == nil {
		w.State = state
		f.state.touched[w.record()] = true
	}
	return err
}

// names are the destinations of jobs that have a window's id in logs.
func (f *Follower) names(w *Window) []string {
	names := []string{w.DestinationID}
	for name, id := range f.settings.Destinations {
		if id == w.DestinationID {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// bind makes the window's only log that of its only message, which is followed by its
// id from then on.
func (f *Follower) bind(w *Window) {
	only := w.Counts[len(w.Counts)-1].Only
	j := &Job{Ref: *w.Job, AcceptedAt: w.Last, Logs: []Seen{{ID: only.ID}}, Window: w.evidence(f.settings.Times)}
	if f.state.jobs[j.record()] != nil {
		return
	}
	if only.Status != "" {
		j.See(platform.Log{ID: only.ID, Status: only.Status, Attempts: only.Attempts, AttemptAt: only.At}, f.parts.Now())
	}
	f.state.add(j, 0)
	f.state.touched[j.record()] = true
}

// giveUp leaves a window that does not close. Its only message, if it has one, will be
// told of as unconfirmed.
func (f *Follower) giveUp(w *Window, now time.Time) {
	if w.Accepted != 1 || w.Unnamed != 1 || now.Sub(w.Last) < f.settings.Times.Unconfirmed {
		return
	}
	j := &Job{Ref: *w.Job, AcceptedAt: w.Last, missing: now}
	if f.state.jobs[j.record()] == nil {
		f.state.add(j, 0)
		f.state.touched[j.record()] = true
	}
}

// found ends the held message of a window as accepted.
func (f *Follower) found(ctx context.Context, w *Window) error {
	evidence := &schemas.Evidence{Window: w.evidence(f.settings.Times), At: f.parts.Now()}
	if only := w.Counts[len(w.Counts)-1].Only; w.Accepted == 0 && only != nil {
		evidence.LogID = only.ID
	}
	reason := schemas.Reason{Kind: "unknown_outcome", Code: CodeFound, Text: "Redox's logs show one message more than those that were accepted"}
	if err := f.parts.Desk.Accept(ctx, w.HeldJob.Key(), reason, evidence); err != nil {
		return fmt.Errorf("accepting a held job: %w", err)
	}
	f.parts.Log.Info("a held job was found in Redox's logs, and counts as accepted", "job", w.HeldJob.ID, "destination", w.HeldJob.Destination, "jobs", w.Accepted, "logs", w.Accepted+1)
	return nil
}

// notFound sends the held message of a window again, if that is wanted.
func (f *Follower) notFound(ctx context.Context, w *Window) error {
	text := "a held job is not in Redox's logs, and stays held"
	if f.settings.Resend && !w.Answered {
		if err := f.parts.Desk.Resend(ctx, w.HeldJob.Key()); err != nil {
			return fmt.Errorf("sending a held job again: %w", err)
		}
		text = "a held job is not in Redox's logs, and is sent again"
	}
	f.parts.Log.Info(text, "job", w.HeldJob.ID, "destination", w.HeldJob.Destination, "jobs", w.Accepted)
	return nil
}

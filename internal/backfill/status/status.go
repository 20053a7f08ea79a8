// Package status says how far a run is, and how fast.
package status

import (
	"context"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
)

// Status is a run in JSON.
type Status struct {
	backfill.RunFields
	// Feeder is empty where no process feeds the run; FeederAt is its last word.
	Feeder   string    `json:"feeder,omitempty"`
	FeederAt time.Time `json:"feeder_at,omitzero"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
	// Progress has the numbers.
	Progress backfill.Tally `json:"progress"`
	// Feeding is zero where no feeder tells.
	Feeding Feeding `json:"feeding,omitzero"`
}

// Feeding is what a feeder says of its own pace.
type Feeding struct {
	// PerSecond is how many lines ended in a second, over the last minute, and SecondsLeft
	// how long the rest takes at that pace.
	PerSecond   float64 `json:"per_second"`
	SecondsLeft float64 `json:"seconds_left"`
	// Opens is when the window opens that the run waits for.
	Opens time.Time `json:"opens,omitzero"`
}

// Read reads the book of a run and brings it up to date. Without since, a run of
// which every line had ended stays as it was then: what came of dead letters that
// were replayed after that is in events, and reading these costs as much for each
// old run as all runs since have brought.
func Read(ctx context.Context, runs backfill.Bucket, events backfill.Events, name string, since bool) (Status, error) {
	run, _, err := backfill.LoadRun(ctx, runs, name)
	if err != nil {
		return Status{}, err
	}
	at, err := backfill.LoadCheckpoint(ctx, runs, name)
	if err != nil {
		return Status{}, err
	}
	book, err := backfill.OpenBook(ctx, runs, run)
	if err == nil && (since || at.EndedAt.IsZero()) {
		err = book.CatchUp(ctx, events, run, at.Events)
	}
	s := Status{RunFields: backfill.RunFields(run), Feeder: at.Feeder, FeederAt: at.At, EndedAt: at.EndedAt, Progress: book.Tally(run)}
	if at.Feeder != "" && run.State == backfill.Running {
		s.Feeding = Feeding{at.PerSecond, s.Progress.Left(at.PerSecond).Seconds(), at.Opens}
	}
	return s, err
}

// Pace is how fast the run is, and how long the rest takes at that pace; "-" where no feeder
// tells, or it was silent for long.
func (s Status) Pace(now time.Time) (pace, left string) {
	if s.Feeding.PerSecond == 0 || now.Sub(s.FeederAt) > backfill.DefaultLease {
		return "-", "-"
	}
	return fmt.Sprintf("%.1f/s", s.Feeding.PerSecond), (time.Duration(s.Feeding.SecondsLeft) * time.Second).String()
}

// Word is what the run is now.
func (s Status) Word() string {
	word := s.State.Shown(s.Progress)
	if word == backfill.Running && !s.Feeding.Opens.IsZero() {
		return "waits until " + s.Feeding.Opens.Local().Format("Mon 15:04 MST")
	}
	return string(word)
}

// FeederWord names the feeder, and how long ago it spoke where that is long. It is "none"
// where lines wait for one, and "-" where none is needed.
func (s Status) FeederWord(now time.Time) string {
	switch {
	case s.Feeder == "" && s.State == backfill.Running && s.Progress.Unfed > 0:
		return "none"
	case s.Feeder == "":
		return "-"
	}
	if silent := now.Sub(s.FeederAt); silent > backfill.DefaultLease {
		return fmt.Sprintf("%s, silent for %s", s.Feeder, silent.Round(time.Second))
	}
	return s.Feeder
}

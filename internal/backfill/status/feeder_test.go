package status

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
)

// TestFeederWord: a run whose lines wait for a feeder says that it has none.
func TestFeederWord(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		state  backfill.State
		unfed  int64
		feeder string
		silent time.Duration
		want   string
	}{
		{backfill.Running, 8, "", 0, "none"},
		{backfill.Running, 0, "", 0, "-"},
		{backfill.Paused, 8, "", 0, "-"},
		{backfill.Running, 8, "one", time.Second, "one"},
		{backfill.Running, 8, "one", time.Minute, "one, silent for 1m0s"},
	} {
		s := Status{Feeder: c.feeder, FeederAt: now.Add(-c.silent)}
		s.State, s.Progress.Unfed = c.state, c.unfed
		if got := s.FeederWord(now); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

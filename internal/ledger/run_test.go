package ledger

import (
	"context"
	"testing"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// TestRunCompactsWhereItIsTheDuty, at once, and ends with its context.
func TestRunCompactsWhereItIsTheDuty(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	compactor := w.queue.Archive(Accepted, 1, 0)
	for _, mine := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		passes := 0
		asked := func(context.Context) bool {
			if !mine {
				cancel()
			}
			return mine
		}
		compactor.Run(ctx, asked, func(pass archive.Pass, err error) {
			passes++
			if err != nil || pass.Archived != 1 {
				t.Errorf("%+v, %v", pass, err)
			}
			cancel()
		})
		if want := map[bool]int{true: 1}[mine]; passes != want {
			t.Errorf("duty %v: %d passes, want %d", mine, passes, want)
		}
		cancel()
	}
}

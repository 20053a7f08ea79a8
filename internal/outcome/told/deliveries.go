// Package told reads what a follower of outcomes has written, for commands and pages.
package told

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Deliveries gives the last outcome that was told of a backfill's job since a time, by
// the job's id. Where outcomes are not followed there is none, and nothing is read. It
// keeps some 40 bytes for each job.
func Deliveries(ctx context.Context, queue *natsq.Conn, since time.Time) (func(id string) schemas.Status, error) {
	none := func(string) schemas.Status { return "" }
	if _, err := queue.Outcomes(ctx); errors.Is(err, natsq.ErrNoOutcomes) {
		return none, nil
	} else if err != nil {
		return none, err
	}
	statuses, seed := schemas.Outcomes(), maphash.MakeSeed()
	last := map[uint64]uint8{}
	of := natsq.EventRange{Since: since}
	of.Class, of.Statuses = schemas.Backfill, statuses
	_, err := queue.Events(ctx, of, func(e natsq.StoredEvent, _ []byte) bool {
		last[maphash.String(seed, e.Event.Data.JobID)] = uint8(slices.Index(statuses, e.Event.Data.Status)) + 1
		return true
	})
	return func(id string) schemas.Status {
		if at := last[maphash.String(seed, id)]; at > 0 {
			return statuses[at-1]
		}
		return ""
	}, err
}

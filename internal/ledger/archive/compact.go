package archive

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Pass is what one pass of a compactor did.
type Pass struct {
	// Archived records were written into the archive, and Removed ones, that an
	// earlier pass had written, were taken out of the bucket. Waiting ones are in
	// both, because their page was written less than a grace ago.
	Archived, Removed, Waiting int
	// Full counts the records that stay in the bucket because their page takes no
	// more.
	Full int
	// More says that the pass ended before it had seen all ripe records.
	More bool
}

// mostRipe bounds a pass. It is the records of two to three hours at 25 jobs a
// second, and 6 MB of the compactor's memory.
const mostRipe = 250_000

// batchSize is how many records are worked on at once. All of them are in memory,
// and so are their pages.
const batchSize = mostRecords

// ripe is a record that may be archived. Its key and value are read again when its
// turn comes.
type ripe struct {
	place    place
	revision uint64
	stored   int64 // nanoseconds since 1970
}

// is reports whether r is the very revision.
func (i ripe) is(r Record) bool {
	return i.revision == r.Revision && i.stored == r.Stored.UnixNano() && i.place == placeOf(r.Key)
}

// compaction is one pass at work.
type compaction struct {
	archive *Archive
	now     time.Time
	run     runID
	// chunks counts those of this pass.
	chunks uint32
	// expired: runs that began before it have expired; the zero time is never.
	expired time.Time
	born    time.Time
	done    Pass
	// read keeps the chunks that were read last: records of neighboring pages are
	// in the same ones.
	read recentChunks
}

// Compact is one pass: it removes from the bucket what earlier passes have
// archived, and archives what is ripe. now is the present. A pass may end
// anywhere, and several may run at once: the next one does what is left. A page
// or chunk that cannot be read costs the pass the records of that page alone; the
// error tells of it.
func (a *Archive) Compact(ctx context.Context, now time.Time) (Pass, error) {
	age, err := a.store.Age(ctx)
	if err != nil {
		return Pass{}, err
	}
	c := &compaction{archive: a, now: now, run: newRunID(now, rand.Uint32())}
	if age > 0 {
		c.expired = now.Add(-age)
	}
	all, err := c.scan(ctx)
	if err != nil {
		return c.done, err
	}
	slices.SortFunc(all, func(a, b ripe) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.revision, b.revision))
	})
	var unreadable []error
	for len(all) > 0 {
		n := cut(all)
		if err := c.batch(ctx, all[:n]); err != nil {
			if _, is := errors.AsType[*Unreadable](err); !is {
				return c.done, errors.Join(append(unreadable, err)...)
			}
			unreadable = append(unreadable, err)
		}
		all = all[n:]
	}
	return c.done, errors.Join(unreadable...)
}

// scan lists the ripe records of the bucket.
func (c *compaction) scan(ctx context.Context) (all []ripe, err error) {
	settings := c.archive.settings
	c.born, err = c.archive.bucket.Scan(ctx, c.now.Add(-settings.After), func(r Record) bool {
		if len(all) == mostRipe {
			c.done.More = true
			return false
		}
		if settings.Ripe(r.Value) {
			all = append(all, ripe{placeOf(r.Key), r.Revision, r.Stored.UnixNano()})
		}
		return true
	})
	return all, err
}

// cut gives how many records, in the order of their places, are the next batch:
// whole pages, if the first is not too large by itself.
func cut(all []ripe) int {
	n := min(len(all), batchSize)
	if n == len(all) {
		return n
	}
	for whole := n; whole > 0; whole-- {
		if all[whole].place.page() != all[whole-1].place.page() {
			return whole
		}
	}
	return n
}

// recentChunks are a few chunks, the one read last at the end.
type recentChunks struct {
	ids     []chunkID
	records [][]Record
}

const mostRecentChunks = 8

// get reads a chunk that is not among them.
func (c *recentChunks) get(ctx context.Context, a *Archive, id chunkID) ([]Record, error) {
	if i := slices.Index(c.ids, id); i >= 0 {
		return c.records[i], nil
	}
	records, err := a.chunk(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(c.ids) == mostRecentChunks {
		c.ids, c.records = slices.Delete(c.ids, 0, 1), slices.Delete(c.records, 0, 1)
	}
	c.ids, c.records = append(c.ids, id), append(c.records, records)
	return records, nil
}

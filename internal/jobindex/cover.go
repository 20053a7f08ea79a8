package jobindex

import (
	"cmp"
	"context"
	"slices"
)

// gap is a part of the events, both ends included, that no segment stands for.
type gap struct {
	from, to uint64
	// open says that it ends with the events, and so grows.
	open bool
}

// cover is which segments count, and what they leave.
type cover struct {
	bounds Bounds
	// segments are in the order of their events.
	segments []Entry
	gaps     []gap
	// last is the sequence of the store's last message.
	last uint64
}

// survey lists the segments, and looks at the newest event that they stand for: a
// server that crashed may have lost the last events, and used their sequences again.
func (x *Index) survey(ctx context.Context) (*cover, error) {
	bounds, err := x.events.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	c := &cover{bounds: bounds}
	var all []Entry
	if c.last, err = x.store.List(ctx, func(e Entry) { all = append(all, e) }); err != nil {
		return nil, err
	}
	c.segments = current(all, bounds)
	for n := len(c.segments); n > 0; n-- {
		top := c.segments[n-1]
		e, ok, err := x.events.At(ctx, top.Last)
		if err != nil {
			return nil, err
		}
		if ok && e.Stored.Equal(top.Until) {
			break
		}
		c.segments = c.segments[:n-1]
	}
	c.gaps = gaps(c.segments, bounds)
	return c, nil
}

// current gives the segments that stand for events of this stream, in the order of the
// events. Of two that stand for the same event, the one that was appended later counts.
func current(all []Entry, b Bounds) (kept []Entry) {
	slices.SortFunc(all, func(x, y Entry) int { return cmp.Compare(y.Sequence, x.Sequence) })
	for _, e := range all {
		if !e.Born.Equal(b.Born) || e.From > e.Last || e.Last < b.First || e.Last > b.Last {
			continue
		}
		// The last events first, which is the order in which they come.
		at, _ := slices.BinarySearchFunc(kept, e.From, func(k Entry, from uint64) int { return cmp.Compare(from, k.From) })
		if at > 0 && kept[at-1].From <= e.Last || at < len(kept) && kept[at].Last >= e.From {
			continue
		}
		kept = slices.Insert(kept, at, e)
	}
	slices.Reverse(kept)
	return kept
}

// gaps are what is between the segments, before and behind them.
func gaps(segments []Entry, b Bounds) (all []gap) {
	next := b.First
	for _, s := range segments {
		if s.From > next {
			all = append(all, gap{from: next, to: s.From - 1})
		}
		next = max(next, s.Last+1)
	}
	if next <= b.Last {
		all = append(all, gap{from: next, to: b.Last, open: true})
	}
	return all
}

package jobindex

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// View answers from the index and the events as they are when it is opened. One
// goroutine uses it.
type View struct {
	index *Index
	// parts are the newest first. Together they stand for all events.
	parts []*part
	// loaded are those parts that are in memory, in the order of loading.
	loaded []*part
	cost   Cost
}

// Cost is what a view has read.
type Cost struct {
	// Segments were read, of this many bytes.
	Segments, Bytes int
	// Unindexed events were read themselves, because no segment stands for them.
	Unindexed int
}

// part is a segment, or a range of events without one.
type part struct {
	span  Span
	entry Entry
	// indexed says that entry stands for it.
	indexed bool
	// segments are nil until they are loaded. A range has as many as it needs.
	segments []*segment
}

const (
	// atOnce is how many requests are under way.
	atOnce = 16
	// mostLoaded bounds the memory of a view: some 100 MB.
	mostLoaded = 2048
	// mostUnindexed is how many sequences a range without a segment has at most.
	mostUnindexed = 4 * MostEvents
)

// Open begins to answer.
func (x *Index) Open(ctx context.Context) (*View, error) {
	c, err := x.survey(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{index: x}
	for _, e := range c.segments {
		v.parts = append(v.parts, &part{span: e.Span, entry: e, indexed: true})
	}
	for _, g := range c.gaps {
		v.add(g, c.bounds.Born)
	}
	slices.SortFunc(v.parts, func(a, b *part) int {
		if a.span.From > b.span.From {
			return -1
		}
		return 1
	})
	return v, nil
}

// OpenWithout begins to answer from the events alone.
func (x *Index) OpenWithout(ctx context.Context) (*View, error) {
	bounds, err := x.events.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{index: x}
	for _, g := range gaps(nil, bounds) {
		v.add(g, bounds.Born)
	}
	slices.Reverse(v.parts)
	return v, nil
}

// add takes in the parts of a gap, the oldest first.
func (v *View) add(g gap, born time.Time) {
	for from := g.from; from <= g.to; from += mostUnindexed {
		v.parts = append(v.parts, &part{span: Span{From: from, Last: min(from+mostUnindexed-1, g.to), Born: born}})
	}
}

// Cost is what was read so far.
func (v *View) Cost() Cost { return v.cost }

// At gives one event; ok is false where there is none.
func (v *View) At(ctx context.Context, sequence uint64) (e Event, ok bool, err error) {
	return v.index.events.At(ctx, sequence)
}

// Range bounds a search.
type Range struct {
	// Before is a sequence: only events before it; 0 is no bound.
	Before uint64
	// Since and Until are times of events, as far as the index knows them; zero is no
	// bound.
	Since, Until time.Time
}

// Search calls each with the events that may have one term of each of all, part by part,
// the newest part and in it the newest event first, until each returns false.
func (v *View) Search(ctx context.Context, within Range, all []Any, each func(sequences []uint64) (more bool, err error)) error {
	for i, p := range v.parts {
		if p.indexed && p.span.Until.Before(within.Since) {
			return nil
		}
		if within.Before > 0 && p.span.From >= within.Before || p.indexed && !within.Until.IsZero() && !p.span.Since.Before(within.Until) {
			continue
		}
		if err := v.load(ctx, i); err != nil {
			return err
		}
		if !p.span.Until.IsZero() && p.span.Until.Before(within.Since) {
			return nil
		}
		found := p.match(all)
		if within.Before > 0 {
			found = slices.DeleteFunc(found, func(n uint64) bool { return n >= within.Before })
		}
		slices.Reverse(found)
		if len(found) == 0 {
			continue
		}
		if more, err := each(found); err != nil || !more {
			return err
		}
	}
	return nil
}

// After gives the events behind a sequence that may have a term, the newest first.
func (v *View) After(ctx context.Context, sequence uint64, t Term) (found []uint64, err error) {
	for i, p := range v.parts {
		if p.span.Last <= sequence {
			break
		}
		if err := v.load(ctx, i); err != nil {
			return nil, err
		}
		some := slices.DeleteFunc(p.match([]Any{{t}}), func(n uint64) bool { return n <= sequence })
		slices.Reverse(some)
		found = append(found, some...)
	}
	return found, nil
}

func (p *part) match(all []Any) (found []uint64) {
	for _, s := range p.segments {
		found = append(found, s.match(all)...)
	}
	return found
}

// load brings a part into memory, and with it the next ones that are indexed.
func (v *View) load(ctx context.Context, at int) error {
	if v.parts[at].segments != nil {
		return nil
	}
	var wanted []*part
	for _, p := range v.parts[at:min(at+atOnce, len(v.parts))] {
		if p.segments == nil && (p.indexed || p == v.parts[at]) {
			wanted = append(wanted, p)
		}
	}
	costs, errs := make([]Cost, len(wanted)), make([]error, len(wanted))
	var all sync.WaitGroup
	for i, p := range wanted {
		all.Go(func() { costs[i], errs[i] = v.index.fetch(ctx, p) })
	}
	all.Wait()
	for _, c := range costs {
		v.cost = Cost{v.cost.Segments + c.Segments, v.cost.Bytes + c.Bytes, v.cost.Unindexed + c.Unindexed}
	}
	v.loaded = append(v.loaded, wanted...)
	for len(v.loaded) > mostLoaded {
		if v.loaded[0] != v.parts[at] {
			v.loaded[0].segments = nil
		}
		v.loaded = v.loaded[1:]
	}
	return errors.Join(errs...)
}

// fetch reads a part: its segment, or its events where there is none, or none that can
// be read.
func (x *Index) fetch(ctx context.Context, p *part) (cost Cost, err error) {
	if p.indexed {
		data, ok, err := x.store.Load(ctx, p.entry.Sequence)
		if err != nil {
			return cost, err
		}
		if s, err := decode(data); ok && err == nil {
			p.segments = []*segment{s}
			return Cost{Segments: 1, Bytes: len(data)}, nil
		}
	}
	segments := []*segment{}
	d := newDraft(newSalt(), p.span.Born, p.span.From, x.full)
	finish := func() error {
		s, err := decode(d.encode())
		segments = append(segments, s)
		return err
	}
	var failed error
	err = x.events.Read(ctx, p.span.From, p.span.Last, func(e Event) bool {
		d.add(e, termsOf(e))
		p.span.Until = e.Stored
		cost.Unindexed++
		if d.full() {
			failed = finish()
			d = newDraft(newSalt(), p.span.Born, e.Sequence+1, x.full)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err == nil && d.events > 0 {
		err = finish()
	}
	if err == nil {
		p.segments = segments
	}
	return cost, err
}

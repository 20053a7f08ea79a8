package jobindex

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Pass is what one pass of a builder did.
type Pass struct {
	// Segments were appended, of this many events and bytes.
	Segments, Events, Bytes int
	// Covered is the last event that is in a segment now.
	Covered uint64
	// Raced says that another builder was there; the next pass does the rest.
	Raced bool
}

// Build appends segments for all events that have none, except for the last ones that
// do not fill a segment. A pass may end anywhere, and two may run at once: of two
// segments for the same events the store takes one. more is asked after each segment, and
// ends the pass when it is false.
func (x *Index) Build(ctx context.Context, more func() bool) (Pass, error) {
	b := &builder{index: x, more: more}
	c, err := x.survey(ctx)
	if err != nil {
		return b.pass, err
	}
	b.after, b.born = c.last, c.bounds.Born
	if n := len(c.segments); n > 0 {
		b.pass.Covered = c.segments[n-1].Last
	}
	for _, g := range c.gaps {
		err := b.fill(ctx, g)
		if errors.Is(err, ErrRaced) {
			b.pass.Raced = true
			return b.pass, nil
		}
		if err != nil || !b.more() {
			return b.pass, err
		}
	}
	return b.pass, nil
}

// builder is a pass at work.
type builder struct {
	index *Index
	more  func() bool
	pass  Pass
	born  time.Time
	// after is the sequence of the store's last message.
	after uint64
	draft *draft
}

// fill appends the segments of a gap.
func (b *builder) fill(ctx context.Context, g gap) error {
	if g.open && g.to-g.from+1 < uint64(b.index.full) {
		return nil
	}
	var failed error
	b.begin(g.from)
	err := b.index.events.Read(ctx, g.from, g.to, func(e Event) bool {
		b.draft.add(e, termsOf(e))
		if !b.draft.full() {
			return true
		}
		if failed = b.append(ctx); failed != nil {
			return false
		}
		b.begin(e.Sequence + 1)
		return b.more()
	})
	if err = errors.Join(failed, err); err != nil || g.open || b.draft.events == 0 || !b.more() {
		return err
	}
	return b.append(ctx)
}

func (b *builder) begin(from uint64) { b.draft = newDraft(newSalt(), b.born, from, b.index.full) }

func (b *builder) append(ctx context.Context) error {
	data := b.draft.encode()
	sequence, err := b.index.store.Append(ctx, b.draft.span, data, b.after)
	if err != nil {
		return err
	}
	b.after = sequence
	b.pass.Covered = max(b.pass.Covered, b.draft.span.Last)
	b.pass.Segments, b.pass.Events, b.pass.Bytes = b.pass.Segments+1, b.pass.Events+b.draft.events, b.pass.Bytes+len(data)
	return nil
}

func newSalt() (s Salt) {
	rand.Read(s[:]) // never fails: crypto/rand
	return s
}

// termsOf are the terms of a message; one that is no event has none.
func termsOf(e Event) []Term {
	event, err := schemas.DecodeEvent(e.Data)
	if err != nil {
		return nil
	}
	return TermsOf(event)
}

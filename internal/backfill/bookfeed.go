package backfill

import "context"

// stir wakes those who wait for what is not in the book.
func (b *Book) stir() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// await waits until something holds that depends on the book.
func (b *Book) await(ctx context.Context, holds func() bool) error {
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// attach gives the book to a feeder. What the survey found to be no job is
// refused.
func (b *Book) attach(s *Survey, perLane int64) {
	for _, line := range s.faulty {
		b.mark(line, Refused)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range b.lines {
		if b.lines[line] == Unfed && !s.Only.has(int64(line)) {
			b.set(int64(line), Absent)
		}
	}
	b.lanes = s.lanes
	b.lanes.perLane = perLane
	b.lanes.count(b.lines)
	b.wake()
}

// attached reports whether a feeder has the book.
func (b *Book) attached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lanes != nil
}

// published reports whether no line is claimed that was not published.
func (b *Book) published() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lanes.claimed) == 0
}

// choose decides about the next line of a pass, at most so many being open.
func (b *Book) choose(line, most int64) choice {
	b.mu.Lock()
	defer b.mu.Unlock()
	if line >= int64(len(b.lines)) || b.lines[line] != Unfed || b.lanes.claimed[line] {
		return skip
	}
	return b.lanes.choose(line, most)
}

// worthwhile tells whether another pass would find something to publish.
func (b *Book) worthwhile() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lanes.roomElsewhere()
}

// unclaim gives up what was claimed and not published.
func (b *Book) unclaim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range b.lanes.claimed {
		b.lanes.release(line)
	}
}

// drop leaves a line that was claimed as it is, and offers it no more.
func (b *Book) drop(line int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes.drop(line)
	b.wake()
}

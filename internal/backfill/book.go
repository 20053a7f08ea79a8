package backfill

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/chartpost/chartpost/schemas"
)

// Counts are the lines of a run by what became of them.
type Counts map[Outcome]int64

// Book says what became of each line: a byte a line, by its number. Parts of it
// are records of the control bucket, each written by compare-and-set, so that a
// feeder that lost its run cannot spoil it.
type Book struct {
	run string
	mu  sync.Mutex
	// lines are the states, by number.
	lines []LineState
	held  [states]int64
	parts []part
	// events is the sequence of the last event that the book has seen.
	events uint64
	// lanes is nil where nobody feeds.
	lanes *Lanes
	// changed is closed with the next change; nil where nobody waits for one.
	changed chan struct{}
}

// part is a record of the book.
type part struct {
	revision uint64
	dirty    bool
}

// partLines is how many lines a record has: 16 KiB.
const partLines = 1 << 14

func newBook(run Run) *Book {
	return &Book{
		run: run.ID, lines: make([]LineState, run.LastLine+1), parts: make([]part, run.LastLine/partLines+1),
	}
}

func (b *Book) key(part int) string { return fmt.Sprintf("%s%s.book.%d", RunPrefix, b.run, part) }

// OpenBook reads the book of a run as its feeder left it.
func OpenBook(ctx context.Context, bucket Bucket, run Run) (*Book, error) {
	b := newBook(run)
	for i := range b.parts {
		value, revision, err := bucket.Read(ctx, b.key(i))
		if err != nil {
			return nil, fmt.Errorf("reading the book of the run: %w", err)
		}
		b.parts[i].revision = revision
		for j, state := range value[:min(len(value), len(b.lines)-i*partLines)] {
			b.lines[i*partLines+j] = min(LineState(state), states-1)
			b.held[min(LineState(state), states-1)]++
		}
	}
	return b, nil
}

// unwritten tells whether the bucket lacks a part of the book.
func (b *Book) unwritten() bool {
	return slices.ContainsFunc(b.parts, func(p part) bool { return p.revision == 0 })
}

// Save writes the parts that have changed.
func (b *Book) save(ctx context.Context, bucket Bucket) error {
	for i := range b.parts {
		value, revision := b.copyOf(i)
		if value == nil {
			continue
		}
		next, err := bucket.Write(ctx, b.key(i), value, revision)
		if err != nil {
			b.mu.Lock()
			b.parts[i].dirty = true
			b.mu.Unlock()
			return fmt.Errorf("writing the book of the run: %w", err)
		}
		b.parts[i].revision = next
	}
	return nil
}

// adopt takes the revisions that there are now: the next save replaces them.
func (b *Book) adopt(ctx context.Context, bucket Bucket) error {
	for i := range b.parts {
		_, revision, err := bucket.Read(ctx, b.key(i))
		if err != nil {
			return fmt.Errorf("reading the book of the run: %w", err)
		}
		b.mu.Lock()
		b.parts[i].dirty = b.parts[i].dirty || b.parts[i].revision != revision
		b.parts[i].revision = revision
		b.mu.Unlock()
	}
	return nil
}

func (b *Book) copyOf(i int) ([]byte, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.parts[i].dirty {
		return nil, 0
	}
	b.parts[i].dirty = false
	lines := b.lines[i*partLines : min(len(b.lines), (i+1)*partLines)]
	value := make([]byte, len(lines))
	for j, state := range lines {
		value[j] = byte(state)
	}
	return value, b.parts[i].revision
}

// seen is the last event that is in the book.
func (b *Book) seen() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events
}

// tell notes an event. It gives the line, 0 where the event says nothing of one.
func (b *Book) tell(sequence uint64, event *schemas.Event) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = max(b.events, sequence)
	line, ok := lineOf(event, b.run)
	if !ok || line >= int64(len(b.lines)) {
		return 0
	}
	next, ok := b.lines[line].after(event.Data)
	if !ok {
		return 0
	}
	b.set(line, next)
	return line
}

// mark notes what became of a line that is not Unfed any more. What has ended is
// not fed.
func (b *Book) mark(line int64, next LineState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if line < 1 || line >= int64(len(b.lines)) || b.lines[line].Ended() {
		return
	}
	b.set(line, next)
}

func (b *Book) set(line int64, next LineState) {
	was := b.lines[line]
	if was == next {
		return
	}
	b.lines[line] = next
	b.held[was]--
	b.held[next]++
	b.parts[line/partLines].dirty = true
	if b.lanes != nil {
		b.lanes.moved(line, was, next)
	}
	b.wake()
}

func (b *Book) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Line is what the book says of a line; one behind the run's last is none of its.
func (b *Book) Line(line int64) LineState {
	b.mu.Lock()
	defer b.mu.Unlock()
	if line < 0 || line >= int64(len(b.lines)) {
		return Absent
	}
	return b.lines[line]
}

// lastFed is the last line in flight; 0 is none.
func (b *Book) lastFed() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := len(b.lines) - 1; line > 0 && b.held[Fed] > 0; line-- {
		if b.lines[line] == Fed {
			return int64(line)
		}
	}
	return 0
}

// states gives a copy of what the book says, by line.
func (b *Book) states() []LineState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// Tally is how far a run is.
type Tally struct {
	Lines int64 `json:"lines"`
	// Unfed lines are still to be published, of which a cancelled run has none;
	// InFlight are those that were and have not ended.
	Unfed    int64  `json:"unfed"`
	InFlight int64  `json:"in_flight"`
	Counts   Counts `json:"outcomes"`
}

// Ended is how many lines have ended.
func (t Tally) Ended() int64 { return t.Lines - t.Unfed - t.InFlight }

// Tally counts the lines of a run.
func (b *Book) Tally(run Run) Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := Tally{Lines: run.Lines, InFlight: b.held[Fed], Counts: Counts{}}
	t.Unfed = run.Lines
	for state := Fed; state < states; state++ {
		if state == Absent {
			continue
		}
		t.Unfed -= b.held[state]
		t.Counts[state.Outcome(run.State)] += b.held[state]
	}
	t.Counts[Unfed.Outcome(run.State)] += t.Unfed
	if run.State == Cancelled {
		t.Unfed = 0
	}
	return t
}

// CatchUp brings the book up to the events that there are.
func (b *Book) CatchUp(ctx context.Context, events Events, run Run, after uint64) error {
	return events.Follow(ctx, run.ID, after, run.StartedAt.Add(-clockSlack), func() bool { return false }, func(sequence uint64, event *schemas.Event) {
		b.tell(sequence, event)
	})
}

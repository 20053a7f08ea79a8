// Package jobindex finds the events of jobs without reading the whole stream of events.
//
// The index is a stream of segments. A segment stands for a few thousand events in a row,
// and says of each term (a job, a pair of a correlation, a status …) which of them have
// it. Workers build segments behind the events, so a job pays for no further write. A
// segment that is lost is built again, and what no segment stands for is read from the
// events themselves: an answer never depends on how far the index has come, only the time
// to it.
//
// Terms stand in a segment as salted hashes of 4 bytes. Two terms may share a hash, so
// that what is found is a candidate: whoever asks compares it with the event.
package jobindex

import (
	"context"
	"errors"
	"time"
)

// Event is a message of the stream of events.
type Event struct {
	Sequence uint64
	// Stored is the server's time of it.
	Stored time.Time
	Data   []byte
}

// Bounds are those of the stream of events.
type Bounds struct {
	// Born is when the stream was made: sequences of another stream mean nothing here.
	Born time.Time
	// First and Last are sequences. An empty stream has a First behind its Last.
	First, Last uint64
}

// Events is the stream of events.
type Events interface {
	Bounds(ctx context.Context) (Bounds, error)
	// Read calls each for the messages of these sequences, both included, in order,
	// until it returns false.
	Read(ctx context.Context, from, to uint64, each func(Event) bool) error
	// At gives one message; ok is false where there is none.
	At(ctx context.Context, sequence uint64) (e Event, ok bool, err error)
}

// Span is what a segment stands for.
type Span struct {
	// From and Last are sequences of events. Each event between them is in the segment,
	// and there is one at Last.
	From, Last uint64
	// Since and Until are when the first and the last of the events were stored.
	Since, Until time.Time
	// Born is that of the stream of events.
	Born time.Time
}

// Entry is a segment in the store.
type Entry struct {
	// Sequence is its place in the store. A later segment replaces those that stand for
	// events of its own.
	Sequence uint64
	Span
}

// Store keeps the segments.
type Store interface {
	// List calls each for every segment, in the order in which they were appended, and
	// gives the sequence of the last message that the store ever had.
	List(ctx context.Context, each func(Entry)) (last uint64, err error)
	// Load gives the data of a segment; ok is false where it is gone.
	Load(ctx context.Context, sequence uint64) (data []byte, ok bool, err error)
	// Append adds a segment behind the message with the sequence after; ErrRaced where
	// that is not the last one any more.
	Append(ctx context.Context, span Span, data []byte, after uint64) (sequence uint64, err error)
}

// ErrRaced refuses a segment because another one was appended meanwhile.
var ErrRaced = errors.New("another worker has added to the index")

// Index is the index of the jobs of one stream of events.
type Index struct {
	events Events
	store  Store
	// full is how many events a segment stands for.
	full int
}

// New makes an index of its parts.
func New(events Events, store Store) *Index { return &Index{events, store, MostEvents} }

// WithSegmentsOf gives the same index with full segments of another number of events.
// Whoever reads need not know it.
func (x *Index) WithSegmentsOf(events int) *Index { return &Index{x.events, x.store, events} }

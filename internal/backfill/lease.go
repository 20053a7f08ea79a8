package backfill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

// Checkpoint is the record of a run's feeder: who feeds it, and how far its book
// can be trusted.
type Checkpoint struct {
	// Feeder is empty where nobody feeds.
	Feeder string `json:"feeder,omitempty"`
	// Lease is how long the feeder may be silent.
	Lease time.Duration `json:"lease,omitempty"`
	// Beat counts the writes: a lease is over when it stands still.
	Beat int64 `json:"beat"`
	// At is the feeder's clock, for people.
	At time.Time `json:"at"`
	// Ahead is the highest line that may have been published and not be in the
	// book; 0 is none.
	Ahead int64 `json:"ahead,omitempty"`
	// Events is the sequence of the last event that is in the book.
	Events uint64 `json:"events"`
	Tally  Tally  `json:"tally"`
	// PerSecond is the pace: how many lines have ended in a second, over the last minute.
	PerSecond float64 `json:"per_second,omitempty"`
	// Opens is when the window opens that the feeder waits for.
	Opens time.Time `json:"opens,omitzero"`
	// EndedAt is when every line had ended.
	EndedAt time.Time `json:"ended_at,omitzero"`

	Unknown versioned.Unknown `json:",embed"`
}

// plainCheckpoint is a Checkpoint without methods.
type plainCheckpoint Checkpoint

type checkpointForm struct {
	Version int `json:"version"`
	plainCheckpoint
}

// MarshalJSON writes the record with its version, and with the members of it that
// this version does not know.
func (c Checkpoint) MarshalJSON() ([]byte, error) {
	return versioned.Encode(checkpointForm{RecordVersion, plainCheckpoint(c)})
}

// UnmarshalJSON reads a checkpoint. One of a later version is a *versioned.Newer.
func (c *Checkpoint) UnmarshalJSON(data []byte) error {
	var form checkpointForm
	if err := versioned.Decode(data, RecordVersion, &form); err != nil {
		return err
	}
	*c = Checkpoint(form.plainCheckpoint)
	return nil
}

// LoadCheckpoint reads the record of a run's feeder.
func LoadCheckpoint(ctx context.Context, bucket Bucket, run string) (Checkpoint, error) {
	var c Checkpoint
	_, err := load(ctx, bucket, feederKey(run), &c)
	return c, err
}

func feederKey(run string) string { return RunPrefix + run + ".feeder" }

// ErrLost is the end of a feeder whose run another one feeds.
var ErrLost = errors.New("another feeder has taken the run over")

// ErrFed refuses a second feeder.
var ErrFed = errors.New("the run is being fed")

// DefaultLease is how long a feeder may be silent before another takes its run. It
// publishes nothing from two thirds of it on until it has written again.
const DefaultLease = 15 * time.Second

// lease is a feeder's hold of its run: the record, and the revision it was
// written at.
type lease struct {
	bucket Bucket
	key    string
	length time.Duration
	mu     sync.Mutex
	record Checkpoint
	// written is when the last write that succeeded began.
	written  time.Time
	revision uint64
	lost     bool
	// moved is closed with the next write, and made anew.
	moved chan struct{}
}

// takeLease waits for the end of a dead feeder's lease; it refuses where the other
// one is alive.
func takeLease(ctx context.Context, bucket Bucket, run, name string, length time.Duration, waiting func(other string, patience time.Duration)) (*lease, error) {
	l := &lease{bucket: bucket, key: feederKey(run), length: length, moved: make(chan struct{})}
	var err error
	if l.revision, err = load(ctx, bucket, l.key, &l.record); err != nil {
		return nil, err
	}
	if l.record.Feeder != "" {
		patience := max(length, l.record.Lease)
		waiting(l.record.Feeder, patience)
		select {
		case <-time.After(patience):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		var now Checkpoint
		revision, err := load(ctx, bucket, l.key, &now)
		if err != nil {
			return nil, err
		}
		if revision != l.revision && now.Feeder != "" {
			return nil, fmt.Errorf("%w by %s", ErrFed, now.Feeder)
		}
		l.record, l.revision = now, revision
	}
	err = l.write(ctx, func(c *Checkpoint) { c.Feeder, c.Lease, c.EndedAt = name, length, time.Time{} })
	if errors.Is(err, ErrLost) {
		err = ErrFed
	}
	return l, err
}

// write changes the record. It is tried until ctx ends; ErrLost says that the run is
// another's.
func (l *lease) write(ctx context.Context, edit func(*Checkpoint)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return ErrLost
	}
	next := l.record
	edit(&next)
	next.Beat++
	began := time.Now()
	next.At = began.UTC()
	revision, err := store(ctx, l.bucket, l.key, next, l.revision)
	if errors.Is(err, ErrChanged) {
		l.lost = true
		close(l.moved)
		return ErrLost
	}
	if err != nil {
		return err
	}
	l.record, l.revision, l.written = next, revision, began
	close(l.moved)
	l.moved = make(chan struct{})
	return nil
}

// fresh tells whether nobody else can have taken the run since the last write.
// l.mu is held.
func (l *lease) fresh() bool { return !l.lost && time.Since(l.written) < l.length*2/3 }

// confirm writes the record where it is not fresh. ErrLost says that the run is
// another's.
func (l *lease) confirm(ctx context.Context) error {
	l.mu.Lock()
	fresh := l.fresh()
	l.mu.Unlock()
	if fresh {
		return nil
	}
	return l.write(ctx, func(*Checkpoint) {})
}

// proceed waits until the run is this feeder's for sure: a process that was frozen
// finds out first whether it still is.
func (l *lease) proceed(ctx context.Context) error {
	for {
		l.mu.Lock()
		lost, fresh, moved := l.lost, l.fresh(), l.moved
		l.mu.Unlock()
		switch {
		case lost:
			return ErrLost
		case fresh:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// aheadOf is how many lines are announced at once.
const aheadOf = 20_000

// announce records that lines up to one may be published.
func (l *lease) announce(ctx context.Context, line int64) error {
	l.mu.Lock()
	known := l.record.Ahead >= line
	l.mu.Unlock()
	if known {
		return nil
	}
	ctx, cancel := linger(ctx)
	defer cancel()
	return l.write(ctx, func(c *Checkpoint) { c.Ahead = max(c.Ahead, line+aheadOf) })
}

// Package archive keeps the records of jobs that were accepted long after they
// have left the ledger's bucket. The server holds every key of a bucket in its
// memory; of the archive it holds the names of some thousand messages.
//
// The archive is a stream with two kinds of messages. A chunk is some hundred
// records, compressed. A page is a part of the index: of all keys whose hash falls
// on it, a fingerprint and the chunk. A lookup reads one page, and one chunk where
// the fingerprint is there; there the whole key is compared, so that two keys
// with the same fingerprint are never taken for each other.
//
// Compact moves records from the bucket into the archive. It writes the chunk,
// then the pages, and removes a record only in a later pass, after it has read it
// back. So at each moment a record is in the bucket, or in the archive, or in
// both, whenever a compactor ends and however many there are.
//
// The package knows neither NATS nor what is in a record.
package archive

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Message is one message of the archive's stream.
type Message struct {
	Data     []byte
	Sequence uint64
	// Stored is the server's time of the message.
	Stored time.Time
}

// Store is the archive's stream.
type Store interface {
	// Newest reads the newest message of a subject as the stream's leader has it;
	// ok is false where there is none. A replica that lags must not answer.
	Newest(ctx context.Context, subject string) (m Message, ok bool, err error)
	// Put stores a message if the newest one of its subject has the sequence
	// after, or there is none and after is 0; otherwise the error is ErrRaced.
	Put(ctx context.Context, subject string, data []byte, after uint64) error
	// Age is how long the stream keeps a message; 0 is for ever.
	Age(ctx context.Context) (time.Duration, error)
}

// Bucket is the ledger's.
type Bucket interface {
	// Scan gives the records that were stored until a time, in the order of their
	// revisions, as long as each returns true. born tells the bucket from one that
	// is made again under the same name.
	Scan(ctx context.Context, until time.Time, each func(Record) bool) (born time.Time, err error)
	// At reads the record of a revision; ok is false where it has gone.
	At(ctx context.Context, revision uint64) (r Record, ok bool, err error)
	// Remove deletes exactly these revisions and leaves no mark in their place; one
	// that has gone is no error. In another bucket than born it removes nothing, and
	// the error is ErrRemade.
	Remove(ctx context.Context, born time.Time, revisions []uint64) error
}

var (
	// ErrRaced is the error of a Put that another one was faster than.
	ErrRaced = errors.New("another message of the subject came first")
	// ErrRemade says that the bucket was deleted and made again.
	ErrRemade = errors.New("the bucket was made again meanwhile")
)

// Unreadable is the error of a lookup that met a page or a chunk which is damaged
// or missing: the record may be there.
type Unreadable struct {
	// Subject is that of the page or the chunk.
	Subject string
	Cause   error
}

func (u *Unreadable) Error() string { return fmt.Sprintf("the archive's %s: %v", u.Subject, u.Cause) }

func (u *Unreadable) Unwrap() error { return u.Cause }

var errGone = errors.New("it is not there, and has not expired")

const (
	// DefaultAfter is how long an ended record stays in the bucket alone.
	DefaultAfter = time.Hour
	// DefaultGrace is the least time between the writing of a page and the removal
	// of its records from the bucket. A leader of the archive's stream that was
	// deposed and does not know it, or was just elected, may answer from before the
	// writing; elections take up to 9 s. And a server that does not sync at once
	// does so every two minutes: by then the page is on the disk.
	DefaultGrace = 5 * time.Minute
	// Slack is by how much the stream must keep messages for longer than records
	// are to be remembered: by so much the clocks of servers and compactors may
	// differ.
	Slack = time.Hour
)

// Settings say what is archived and when.
type Settings struct {
	// Prefix begins the subjects of pages and chunks.
	Prefix string
	// Ripe reports whether a record of this value may go to the archive: nothing
	// but its expiry will change it any more.
	Ripe func(value []byte) bool
	// After and Grace are DefaultAfter and DefaultGrace where they are 0.
	After, Grace time.Duration
}

// Archive looks records up, and moves them in.
type Archive struct {
	store    Store
	bucket   Bucket
	settings Settings
}

// New gives the archive in store of the records of bucket.
func New(store Store, bucket Bucket, settings Settings) *Archive {
	if settings.After == 0 {
		settings.After = DefaultAfter
	}
	if settings.Grace == 0 {
		settings.Grace = DefaultGrace
	}
	return &Archive{store: store, bucket: bucket, settings: settings}
}

// Lookup gives the record of a key; ok is false where the archive has none. An
// error of type *Unreadable will not pass by itself; others are the store's.
func (a *Archive) Lookup(ctx context.Context, key string) (r Record, ok bool, err error) {
	at := placeOf(key)
	p, _, err := a.page(ctx, at.page())
	if err != nil {
		return Record{}, false, err
	}
	var lost error
	for _, id := range p.find(at.fingerprint()) {
		records, err := a.chunk(ctx, id)
		if unreadable, is := errors.AsType[*Unreadable](err); is {
			lost = unreadable
			continue
		}
		if err != nil {
			return Record{}, false, err
		}
		for _, r := range records {
			if r.Key == key {
				return r, true, nil
			}
		}
	}
	return Record{}, false, lost
}

// page reads an index page; one that was never written is empty.
func (a *Archive) page(ctx context.Context, number uint16) (page, Message, error) {
	subject := a.pageSubject(number)
	m, ok, err := a.store.Newest(ctx, subject)
	if err != nil || !ok {
		return page{}, Message{}, err
	}
	p, err := decodePage(m.Data)
	if err != nil {
		return page{}, Message{}, &Unreadable{subject, err}
	}
	return p, m, nil
}

// chunk reads a chunk. One that has expired holds nothing any more; the page
// still lists it until it is written again.
func (a *Archive) chunk(ctx context.Context, id chunkID) ([]Record, error) {
	subject := a.chunkSubject(id)
	m, ok, err := a.store.Newest(ctx, subject)
	if err != nil {
		return nil, err
	}
	if !ok {
		age, err := a.store.Age(ctx)
		if err != nil {
			return nil, err
		}
		if age > 0 && time.Since(id.run.began()) > age-Slack {
			return nil, nil
		}
		return nil, &Unreadable{subject, errGone}
	}
	records, err := decodeChunk(m.Data)
	if err != nil {
		return nil, &Unreadable{subject, err}
	}
	return records, nil
}

func (a *Archive) pageSubject(number uint16) string {
	return fmt.Sprintf("%s.page.%d", a.settings.Prefix, number)
}

func (a *Archive) chunkSubject(id chunkID) string {
	return fmt.Sprintf("%s.chunk.%s.%d", a.settings.Prefix, id.run, id.number)
}

package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// readingArchive is what is tried, to the log and to Troubles.
const readingArchive = "reading the ledger's archive"

// Archive gives the archive of the ledger's bucket. ripe reports whether a record
// may go there; only a compactor needs it. after and grace are the archive's own
// defaults where they are 0.
func (c *Conn) Archive(ripe func(value []byte) bool, after, grace time.Duration) *archive.Archive {
	store, bucket := c.ArchivePorts()
	return archive.New(store, bucket, archive.Settings{Prefix: c.archivePrefix(), Ripe: ripe, After: after, Grace: grace})
}

// ArchivePorts gives the archive's stream and the ledger's bucket.
func (c *Conn) ArchivePorts() (archive.Store, archive.Bucket) {
	return archiveStore{c}, archiveBucket{c, c.stream(ledger)}
}

// lookUp reads a record of the archive. One that is damaged is no trouble of the
// connection.
func (c *Conn) lookUp(ctx context.Context, a *archive.Archive, key string) (value []byte, ok bool, err error) {
	began := time.Now()
	record, ok, err := a.Lookup(ctx, key)
	if unreadable(err) {
		c.tried(readingArchive, key, began, nil)
		return nil, false, err
	}
	c.tried(readingArchive, key, began, err)
	return record.Value, ok, err
}

func unreadable(err error) bool {
	_, is := errors.AsType[*archive.Unreadable](err)
	return is
}

// archivePrefix begins the subjects of the archive's stream.
func (c *Conn) archivePrefix() string { return c.prefix + ".ended" }

// archiveStore implements archive.Store.
type archiveStore struct{ conn *Conn }

func (s archiveStore) Newest(ctx context.Context, subject string) (archive.Message, bool, error) {
	m, err := s.conn.fromLeader(ctx, s.conn.stream(ended), leaderGet{LastOf: subject})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return archive.Message{}, false, nil
	}
	if err != nil {
		return archive.Message{}, false, err
	}
	return archive.Message{Data: m.Data, Sequence: m.Sequence, Stored: m.Time}, true, nil
}

func (s archiveStore) Put(ctx context.Context, subject string, data []byte, after uint64) error {
	msg := nats.NewMsg(subject)
	msg.Data = data
	_, err := s.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithExpectStream(s.conn.stream(ended)))
	if lostRace(err) {
		return archive.ErrRaced
	}
	if err != nil {
		return fmt.Errorf("writing the ledger's archive: %w", err)
	}
	return nil
}

func (s archiveStore) Age(ctx context.Context) (time.Duration, error) {
	stream, err := s.conn.js.Stream(ctx, s.conn.stream(ended))
	if err != nil {
		return 0, fmt.Errorf("asking how long the ledger's archive is kept: %w", err)
	}
	return stream.CachedInfo().Config.MaxAge, nil
}

// archiveBucket implements archive.Bucket.
type archiveBucket struct {
	conn *Conn
	name string
}

func (b archiveBucket) subject(key string) string { return "$KV." + b.name + "." + key }

// scanBytes is how much one answer of a scan holds, and scanMessages how many
// records at most.
const (
	scanBytes    = 1 << 20
	scanMessages = 4096
)

// Scan asks any server of the bucket, batch by batch. One that lags gives an older
// revision of a record, which by then is no record any more: At and Remove find
// that out. NATS: ADR-31, "JetStream Direct Get".
func (b archiveBucket) Scan(ctx context.Context, until time.Time, each func(archive.Record) bool) (time.Time, error) {
	born, err := b.born(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for from, more := uint64(1), true; more; {
		n := 0
		more, err = b.several(ctx, map[string]any{"seq": from, "next_by_subj": b.subject(">"), "batch": scanMessages, "max_bytes": scanBytes},
			func(r archive.Record) bool {
				n, from = n+1, r.Revision+1
				if r.Stored.After(until) {
					return false
				}
				return r.Value == nil || each(r)
			})
		if err != nil {
			return time.Time{}, fmt.Errorf("reading the ledger: %w", err)
		}
		more = more && n > 0
	}
	return born, nil
}

func (b archiveBucket) born(ctx context.Context) (time.Time, error) {
	stream, err := b.conn.js.Stream(ctx, bucketStream(b.name))
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	return stream.CachedInfo().Created, nil
}

func (b archiveBucket) At(ctx context.Context, revision uint64) (archive.Record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	msg, err := b.conn.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+bucketStream(b.name), fmt.Appendf(nil, `{"seq":%d}`, revision))
	if err != nil {
		return archive.Record{}, false, fmt.Errorf("reading the ledger: %w", err)
	}
	switch status := msg.Header.Get("Status"); {
	case status == "404":
		return archive.Record{}, false, nil
	case status != "":
		return archive.Record{}, false, fmt.Errorf("reading the ledger: the bucket answered %s", status)
	}
	r, err := b.record(msg)
	return r, err == nil && r.Value != nil, err
}

// several asks for a batch of records. more is false when each has returned false,
// or where there are none. A record that was deleted has no value.
func (b archiveBucket) several(ctx context.Context, question any, each func(archive.Record) bool) (more bool, err error) {
	var unread error
	more, err = b.conn.directBatch(ctx, bucketStream(b.name), question, func(msg *nats.Msg) bool {
		var record archive.Record
		if record, unread = b.record(msg); unread != nil {
			return false
		}
		return each(record)
	})
	return more, errors.Join(unread, err)
}

// record reads one message of an answer.
func (b archiveBucket) record(msg *nats.Msg) (archive.Record, error) {
	revision, stored, err := placeOf(msg)
	if err != nil {
		return archive.Record{}, err
	}
	return archive.Record{
		Key: strings.TrimPrefix(msg.Header.Get("Nats-Subject"), b.subject("")), Value: valueOf(msg.Header, msg.Data), Revision: revision, Stored: stored,
	}, nil
}

// removesAtOnce is how many removals are under way.
const removesAtOnce = 32

// Remove deletes messages by their sequence: unlike the library's deletion of a
// key that leaves no message, and no subject in the server's memory.
func (b archiveBucket) Remove(ctx context.Context, born time.Time, revisions []uint64) error {
	now, err := b.born(ctx)
	if err != nil {
		return err
	}
	if !now.Equal(born) {
		return archive.ErrRemade
	}
	errs := make([]error, len(revisions))
	slots := make(chan struct{}, removesAtOnce)
	var all sync.WaitGroup
	for i, revision := range revisions {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = b.remove(ctx, revision)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// codeNoSequence is the server's for the deletion of a message that is not there.
const codeNoSequence = 10043

func (b archiveBucket) remove(ctx context.Context, revision uint64) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"seq": revision, "no_erase": true})
	if err != nil {
		return err
	}
	reply, err := b.conn.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.DELETE."+bucketStream(b.name), body)
	if err != nil {
		return fmt.Errorf("removing from the ledger: %w", err)
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("removing from the ledger: %w", err)
	}
	if answer.Error == nil || answer.Error.ErrorCode == codeNoSequence {
		return nil
	}
	// One that somebody else removes at the same moment fails with the code of all
	// other failures.
	if _, there, err := b.At(ctx, revision); err == nil && !there {
		return nil
	}
	return fmt.Errorf("removing from the ledger: %w", answer.Error)
}

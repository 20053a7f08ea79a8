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

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// RunLedger reads many of the ledger's records at once.
type RunLedger struct {
	conn    *Conn
	archive *archive.Archive
}

var _ backfill.Ledger = (*RunLedger)(nil)

// RunLedger gives the ledger to runs, for reading.
func (c *Conn) RunLedger() *RunLedger { return &RunLedger{conn: c, archive: c.Archive(nil, 0, 0)} }

// mostAtOnce is fewer than the 1,024 that the server answers to one question.
const mostAtOnce = 512

// leaderAtOnce is how many questions to the leader are under way.
const leaderAtOnce = 32

// readingLedger is what is tried, to the log and to Troubles.
const readingLedger = "reading the ledger"

// Records implements backfill.Ledger. The bucket is asked first: a record leaves it
// only when the archive has it.
func (l *RunLedger) Records(ctx context.Context, jobs []schemas.JobKey, newest bool) (map[schemas.JobKey][]byte, error) {
	records := make(map[schemas.JobKey][]byte, len(jobs))
	read := l.fromAny
	if newest {
		read = l.fromLeader
	}
	if err := read(ctx, jobs, records); err != nil {
		return nil, err
	}
	var left []schemas.JobKey
	for _, key := range jobs {
		if records[key] == nil {
			left = append(left, key)
		}
	}
	return records, l.fromArchive(ctx, left, records)
}

// fromAny asks any server of the bucket.
func (l *RunLedger) fromAny(ctx context.Context, jobs []schemas.JobKey, records map[schemas.JobKey][]byte) error {
	for len(jobs) > 0 {
		some := jobs[:min(len(jobs), mostAtOnce)]
		jobs = jobs[len(some):]
		err := retry.Do(ctx, hopeless, func(ctx context.Context) error {
			began := time.Now()
			err := l.many(ctx, some, records)
			l.conn.tried(readingLedger, some[0].String(), began, err)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
	}
	return nil
}

func (l *RunLedger) stream() string { return "KV_" + l.conn.stream(ledger) }

func (l *RunLedger) subject(tokens string) string {
	return "$KV." + l.conn.stream(ledger) + "." + tokens
}

// many asks any server of the bucket for the records of some jobs. The answers
// come one by one, those that exist, and an end.
// NATS: ADR-31, "JetStream Direct Get".
func (l *RunLedger) many(ctx context.Context, jobs []schemas.JobKey, records map[schemas.JobKey][]byte) error {
	subjects := make([]string, len(jobs))
	for i, key := range jobs {
		subjects[i] = l.subject(key.Tokens())
	}
	body, err := json.Marshal(map[string][]string{"multi_last": subjects})
	if err != nil {
		return err
	}
	inbox := l.conn.nc.NewInbox()
	sub, err := l.conn.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := l.conn.nc.PublishRequest("$JS.API.DIRECT.GET."+l.stream(), inbox, body); err != nil {
		return err
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		switch status := msg.Header.Get("Status"); {
		case status == "204", status == "404" && msg.Header.Get("Description") == "No Results":
			return nil
		case status != "":
			return fmt.Errorf("the bucket answered %s", status)
		case len(msg.Header) == 0:
			return nats.ErrNoResponders
		}
		key, err := schemas.ParseJobTokens(strings.TrimPrefix(msg.Header.Get("Nats-Subject"), l.subject("")))
		if value := valueOf(msg.Header, msg.Data); err == nil && value != nil {
			records[key] = value
		}
	}
}

// fromLeader asks the leader for each record.
func (l *RunLedger) fromLeader(ctx context.Context, jobs []schemas.JobKey, records map[schemas.JobKey][]byte) error {
	return l.each(jobs, records, func(key schemas.JobKey) (value []byte, err error) {
		err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
			began := time.Now()
			msg, err := l.conn.fromLeader(ctx, l.stream(), leaderGet{LastOf: l.subject(key.Tokens())})
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				l.conn.tried(readingLedger, key.String(), began, nil)
				return nil
			}
			l.conn.tried(readingLedger, key.String(), began, err)
			if err == nil {
				value = valueOf(msg.Header, msg.Data)
			}
			return err
		})
		return value, err
	})
}

// fromArchive looks for records that have left the bucket.
func (l *RunLedger) fromArchive(ctx context.Context, jobs []schemas.JobKey, records map[schemas.JobKey][]byte) error {
	final := func(err error) bool { return unreadable(err) || hopeless(err) }
	return l.each(jobs, records, func(key schemas.JobKey) (value []byte, err error) {
		err = retry.Do(ctx, final, func(ctx context.Context) error {
			var err error
			value, _, err = l.conn.lookUp(ctx, l.archive, key.Tokens())
			return err
		})
		return value, err
	})
}

// each reads records one by one, several at once.
func (l *RunLedger) each(jobs []schemas.JobKey, records map[schemas.JobKey][]byte, read func(schemas.JobKey) ([]byte, error)) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	slots := make(chan struct{}, leaderAtOnce)
	for _, key := range jobs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			value, err := read(key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = fmt.Errorf("reading the ledger: %w", err)
			case value != nil:
				records[key] = value
			}
		})
	}
	all.Wait()
	return failed
}

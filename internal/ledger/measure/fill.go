package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/schemas"
)

// epoch is when the first job of the generator ended.
var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// keyOf is the key of the job of a number: a destination and a UUID.
func keyOf(number int) schemas.JobKey {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(number)))
	id := hex.EncodeToString(sum[:16])
	return schemas.JobKey{
		Destination: fmt.Sprintf("hospital-%d", sum[31]%100),
		ID:          fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:]),
	}
}

// padding is how many random bytes a record has in addition.
var padding int

// pad gives them, as text.
func pad(number int) string {
	random := make([]byte, padding/4*3)
	rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(number)))).Read(random)
	return base64.StdEncoding.EncodeToString(random)
}

// recordOf is the record of a job with one uploaded file that was accepted. What
// is random in a real one is random here, so that it compresses as that does.
func recordOf(number int) job.Record {
	random := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("record"), uint64(number)))
	other := sha256.Sum256(random[:])
	ended := epoch.Add(time.Duration(number) * 40 * time.Millisecond)
	text := hex.EncodeToString(other[:])
	return job.Record{
		Phase: job.Accepted, Attempt: 1, Sequence: uint64(number), Stored: ended.Add(-time.Second), Digest: hex.EncodeToString(random[:]),
		Owner: "worker-7d4b9c-" + text[:10] + pad(number),
		Files: []job.FileRecord{{
			Pin:         &job.Pin{ETag: `"` + text[10:42] + `"`, Size: int64(random[0])<<12 + int64(random[1])},
			ContentType: "application/pdf", Transfer: "upload", SHA256: text, SHA1: random[4:24],
			URL: "https://blob.redoxengine.com/upload/" + text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:32],
		}},
		Receipt:   &schemas.Receipt{Status: 200, AcceptedAt: ended},
		UpdatedAt: ended,
	}
}

// fill makes the records.
func (m *measurement) fill(ctx context.Context) error {
	if m.plain {
		return m.publish(0, m.records)
	}
	// The rest of the records are where they are in a system that goes on: one
	// pass is archived and removed, one archived, and one in the bucket alone.
	generated := max(m.records-3*m.pass, 0)
	store, _ := m.queue.ArchivePorts()
	now := time.Now()
	fmt.Printf("%d records come from the generator\n", generated)
	for from := 0; from < generated; from += m.pass {
		bucket := generator{from, min(from+m.pass, generated)}
		a := archive.New(store, bucket, archive.Settings{Prefix: "chartpost.ended", Ripe: ledger.Accepted})
		if pass, err := a.Compact(ctx, now); err != nil || pass.Archived != bucket.to-bucket.from {
			return fmt.Errorf("a pass archived %+v: %w", pass, err)
		}
	}
	compactor := m.queue.Archive(ledger.Accepted, time.Nanosecond, time.Nanosecond)
	for from := generated; from < m.records; from += m.pass {
		if err := m.publish(from, min(from+m.pass, m.records)); err != nil {
			return err
		}
		if from+m.pass >= m.records {
			break
		}
		began := time.Now()
		pass, err := compactor.Compact(ctx, began)
		if err != nil {
			return err
		}
		fmt.Printf("a pass: %.1f s, %d records archived, %d removed\n", time.Since(began).Seconds(), pass.Archived, pass.Removed)
	}
	return nil
}

// publish puts records into the bucket as the ledger does with those of jobs that
// have ended.
func (m *measurement) publish(from, to int) error {
	nc, err := nats.Connect(m.server.url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		return err
	}
	for number := from; number < to; number++ {
		value, err := json.Marshal(recordOf(number))
		if err != nil {
			return err
		}
		msg := nats.NewMsg("$KV.CHARTPOST_LEDGER." + keyOf(number).Tokens())
		msg.Data = value
		if _, err := js.PublishMsgAsync(msg, jetstream.WithMsgTTL(endedAge), jetstream.WithStallWait(time.Minute)); err != nil {
			return err
		}
	}
	<-js.PublishAsyncComplete()
	info, err := js.Stream(context.Background(), "KV_CHARTPOST_LEDGER")
	if err != nil {
		return err
	}
	fmt.Printf("the bucket has %d records\n", info.CachedInfo().State.Msgs)
	return nil
}

// generator stands where the bucket is, for a pass over records that are nowhere.
type generator struct{ from, to int }

func (g generator) record(number int) (archive.Record, error) {
	value, err := json.Marshal(recordOf(number))
	return archive.Record{Key: keyOf(number).Tokens(), Value: value, Revision: uint64(number) + 1, Stored: recordOf(number).UpdatedAt}, err
}

// Scan implements archive.Bucket.
func (g generator) Scan(_ context.Context, _ time.Time, each func(archive.Record) bool) (time.Time, error) {
	for number := g.from; number < g.to; number++ {
		r, err := g.record(number)
		if err != nil || !each(r) {
			return epoch, err
		}
	}
	return epoch, nil
}

// At implements archive.Bucket.
func (g generator) At(_ context.Context, revision uint64) (archive.Record, bool, error) {
	r, err := g.record(int(revision) - 1)
	return r, err == nil, err
}

// Remove implements archive.Bucket: there is nothing to remove.
func (g generator) Remove(context.Context, time.Time, []uint64) error { return nil }

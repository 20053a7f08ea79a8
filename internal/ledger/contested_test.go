package ledger

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
)

// behind is a bucket that loses some writes, and after each answers a read with what
// it is told to.
type behind struct {
	jetstream.KeyValue
	losses int
	answer jetstream.KeyValueEntry
	reads  int
}

func (b *behind) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if b.losses > 0 {
		b.losses--
		return 0, jetstream.ErrKeyRevisionMismatch
	}
	return b.KeyValue.Update(ctx, key, value, revision)
}

func (b *behind) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	b.reads++
	if b.answer != nil {
		return b.answer, nil
	}
	return b.KeyValue.Get(ctx, key)
}

// TestALostWriteAnsweredFromThePast: an answer that is older than what was read, or as
// old, does not say that another worker has the job. The save is tried again.
func TestALostWriteAnsweredFromThePast(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(old, now jetstream.KeyValueEntry) jetstream.KeyValueEntry{
		"older":  func(old, _ jetstream.KeyValueEntry) jetstream.KeyValueEntry { return old },
		"as old": func(_, now jetstream.KeyValueEntry) jetstream.KeyValueEntry { return now },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real := newBucket(t)
			bucket := &behind{KeyValue: real}
			l := New(bucket, limit)
			p := open(t, l, "a", fresh("w"), true)
			old, err := real.Get(t.Context(), p.key)
			if err != nil {
				t.Fatal(err)
			}
			again := fresh("w")
			again.Attempt = 2
			if err := p.Save(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			now, err := real.Get(t.Context(), p.key)
			if err != nil {
				t.Fatal(err)
			}
			bucket.losses, bucket.answer = 1, answer(old, now)
			third := fresh("w")
			third.Attempt = 3
			if err := p.Save(t.Context(), third); err != nil {
				t.Fatalf("the job was given up: %v", err)
			}
			entry, err := real.Get(t.Context(), p.key)
			if err != nil || bucket.reads != 1 || p.Record().Attempt != 3 || entry.Revision() != p.revision {
				t.Errorf("%d reads, attempt %d, revision %d, %v", bucket.reads, p.Record().Attempt, p.revision, err)
			}
		})
	}
}

// TestALostWriteAnsweredByAnother: a later revision of another worker's is the end.
func TestALostWriteAnsweredByAnother(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	p := open(t, New(bucket, limit), "a", fresh("w"), true)
	other := open(t, New(bucket, limit), "a", fresh("other"), false)
	mine := fresh("other")
	mine.Phase = job.Sending
	if err := other.Save(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	wantFault(t, p.Save(t.Context(), fresh("w")), fault.Superseded, fault.Job, "superseded")
	if r := open(t, New(bucket, limit), "a", fresh("w"), false).Record(); r.Phase != job.Sending || r.Owner != "other" {
		t.Errorf("%+v", r)
	}
}

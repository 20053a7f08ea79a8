package natsq

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// openLedger opens the ledger as a new worker does.
func (w *world) openLedger() ledgerBucket {
	w.t.Helper()
	bucket, err := w.Ledger(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return bucket.(ledgerBucket)
}

// ttlOf is the TTL that a record was written with.
func (w *world) ttlOf(key string) string {
	w.t.Helper()
	msg, err := w.fromLeader(w.t.Context(), "KV_CHARTPOST_LEDGER", leaderGet{LastOf: "$KV.CHARTPOST_LEDGER." + key})
	if err != nil {
		w.t.Fatal(err)
	}
	return msg.Header.Get(jetstream.MsgTTLHeader)
}

// write makes a record of a job under way and then of its end, and gives the
// revision.
func (w *world) write(b ledgerBucket, key string) uint64 {
	w.t.Helper()
	revision, err := b.Create(w.t.Context(), key, []byte("open"))
	must(w.t, err)
	revision, err = b.UpdateEnded(w.t.Context(), key, []byte("ended"), revision)
	must(w.t, err)
	return revision
}

// configOf is the stream of a bucket without what the server notes there.
func (w *world) configOf(bucket string) jetstream.StreamConfig {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), bucketStream(bucket))
	must(w.t, err)
	config := stream.CachedInfo().Config
	maps.DeleteFunc(config.Metadata, func(key, _ string) bool { return strings.HasPrefix(key, "_nats.") })
	if len(config.Metadata) == 0 {
		config.Metadata = nil
	}
	return config
}

// TestABucketOfAnOlderSetup works as it did, and the next Setup brings it up to
// date, under a worker that has it open.
func TestABucketOfAnOlderSetup(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	w := dial(t, "", stack.InProcess())
	layout := testLayout
	layout.LedgerOpenAge = 90 * day
	older := map[string]jetstream.KeyValueConfig{
		"CHARTPOST_LEDGER": {
			Bucket: "CHARTPOST_LEDGER", Description: "Chartpost: per job, what is already done", History: 1, TTL: 14 * day,
			Storage: jetstream.FileStorage, Replicas: 1,
		},
		"CHARTPOST_CONTROL": {
			Bucket: "CHARTPOST_CONTROL", Description: "Chartpost: lane settings, request budget, backfill runs", History: 1,
			Storage: jetstream.FileStorage, Replicas: 1,
		},
	}
	before := map[string]jetstream.StreamConfig{}
	for name, cfg := range older {
		_, err := w.js.CreateKeyValue(t.Context(), cfg)
		must(t, err)
		before[name] = w.configOf(name)
	}
	old := w.openLedger()
	w.write(old, "a")
	if ttl := w.ttlOf("a"); ttl != "" {
		t.Errorf("a record has a TTL of %s, and the bucket knows none", ttl)
	}

	for i, want := range []string{"updated", "unchanged"} {
		changes, err := w.Setup(t.Context(), layout)
		must(t, err)
		if l, c := changes[5], changes[6]; l.Name != "CHARTPOST_LEDGER" || l.Did != want || c.Name != "CHARTPOST_CONTROL" || c.Did != want {
			t.Errorf("setup %d: %+v", i+1, changes)
		}
	}
	wanted := before["CHARTPOST_LEDGER"]
	wanted.AllowMsgTTL, wanted.MaxAge, wanted.Metadata, wanted.MaxConsumers = true, 90*day, map[string]string{metaEndedAge: "336h0m0s"}, readConsumers
	if got := w.configOf("CHARTPOST_LEDGER"); !reflect.DeepEqual(got, wanted) {
		t.Errorf("the ledger is kept as\n%+v, want\n%+v", got, wanted)
	}
	other := before["CHARTPOST_CONTROL"]
	other.MaxConsumers, other.AllowMsgTTL = readConsumers, true
	if got := w.configOf("CHARTPOST_CONTROL"); !reflect.DeepEqual(got, other) {
		t.Errorf("the control bucket is kept as\n%+v, want\n%+v", got, other)
	}

	w.write(old, "b")
	entry, err := old.Get(t.Context(), "a")
	if err != nil || string(entry.Value()) != "ended" {
		t.Errorf("the record of before: %v", err)
	}
	now := w.openLedger()
	revision := w.write(now, "c")
	if ttl, err := time.ParseDuration(w.ttlOf("c")); err != nil || ttl != 14*day {
		t.Errorf("the record of an ended job has a TTL of %s, %v", ttl, err)
	}
	_, err = now.Update(t.Context(), "c", []byte("open"), revision)
	must(t, err)
	if ttl := w.ttlOf("c"); ttl != "" {
		t.Errorf("a job under way again has a TTL of %s", ttl)
	}
}

// TestALedgerMadeAnewByHand takes the ends of jobs from a worker that had it open
// before, though it refuses TTLs; and Setup brings them back.
func TestALedgerMadeAnewByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.openLedger(), w.openLedger()
	w.write(first, "before")
	must(t, w.js.DeleteKeyValue(t.Context(), "CHARTPOST_LEDGER"))
	_, err := w.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "CHARTPOST_LEDGER", Storage: jetstream.FileStorage})
	must(t, err)
	w.write(first, "updated")
	_, err = second.CreateEnded(t.Context(), "created", []byte("ended"))
	must(t, err)
	for i, b := range []ledgerBucket{first, second} {
		revision := w.write(b, fmt.Sprint("again-", i))
		if _, err := b.CreateEnded(t.Context(), "updated", []byte("other")); !errors.Is(err, jetstream.ErrKeyExists) {
			t.Errorf("a record that is there was made: %v", err)
		}
		if _, err := b.UpdateEnded(t.Context(), "updated", []byte("other"), revision); !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			t.Errorf("another's record was replaced: %v", err)
		}
	}
	for _, key := range []string{"updated", "created"} {
		entry, err := first.Get(t.Context(), key)
		if err != nil || string(entry.Value()) != "ended" {
			t.Errorf("%s: %v", key, err)
		}
	}
	if n := strings.Count(w.said.String(), "takes no TTLs"); n != 2 || len(w.Troubles()) > 0 {
		t.Errorf("said %d times, want once by each; %v\n%s", n, w.Troubles(), w.said)
	}
	w.setUp(testLayout)
	w.write(w.openLedger(), "after")
	if ttl := w.ttlOf("after"); ttl == "" {
		t.Error("the record has no TTL after a setup")
	}
}

// TestBothLostRacesAreMismatches: a replicated stream has a code of its own.
func TestBothLostRacesAreMismatches(t *testing.T) {
	t.Parallel()
	for code, want := range map[jetstream.ErrorCode]bool{10071: true, 10164: true, 10077: false} {
		if err := mismatch(&jetstream.APIError{ErrorCode: code}); errors.Is(err, jetstream.ErrKeyRevisionMismatch) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
	if err := mismatch(nil); err != nil {
		t.Error(err)
	}
}

func TestEndedAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"336h0m0s": 14 * day, "1s": time.Second, "999ms": 0, "-1h": 0, "": 0, "x": 0} {
		cfg := jetstream.StreamConfig{AllowMsgTTL: true, Metadata: map[string]string{metaEndedAge: text}}
		if got := endedAge(cfg); got != want {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
		if cfg.AllowMsgTTL = false; endedAge(cfg) != 0 {
			t.Errorf("%q is read from a stream that refuses TTLs", text)
		}
	}
}

// TestTheLedgerIsReadFromItsLeader: a user who may ask no replica reads it, and sees
// what is there, what was removed and what never was.
func TestTheLedgerIsReadFromItsLeader(t *testing.T) {
	t.Parallel()
	admin, poor, _ := divided(t, "$JS.API.DIRECT.GET.>")
	bucket, err := poor.Ledger(t.Context())
	must(t, err)
	kv, err := admin.js.KeyValue(t.Context(), admin.stream(ledger))
	must(t, err)
	revision, err := kv.Put(t.Context(), "good-health.a", []byte("value"))
	must(t, err)
	entry, err := bucket.Get(t.Context(), "good-health.a")
	if err != nil || string(entry.Value()) != "value" || entry.Revision() != revision || entry.Key() != "good-health.a" || entry.Created().IsZero() {
		t.Errorf("%+v, %v", entry, err)
	}
	must(t, kv.Delete(t.Context(), "good-health.a"))
	for _, key := range []string{"good-health.a", "good-health.b"} {
		if _, err := bucket.Get(t.Context(), key); !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("%s: %v, want ErrKeyNotFound", key, err)
		}
	}
	for _, key := range []string{"", "a b", "a.*", "a.>"} {
		if _, err := bucket.Get(t.Context(), key); !errors.Is(err, jetstream.ErrInvalidKey) {
			t.Errorf("%q: %v, want ErrInvalidKey", key, err)
		}
	}
}

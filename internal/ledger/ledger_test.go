package ledger

import (
	"context"
	"errors"
	"flag"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// TestMain lets more tests run at once than there are processors, unless it is
// told how many: they wait for servers more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		flag.Set("test.parallel", "8")
	}
	devtest.Main(m)
}

// limit is how long a test waits for what must happen.
const limit = 3 * time.Minute

// bucketOf makes the bucket over a connection of its own.
func bucketOf(t *testing.T, url string, ttl time.Duration, options ...nats.Option) jetstream.KeyValue {
	t.Helper()
	nc, err := nats.Connect(url, append(options, nats.Timeout(20*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "LEDGER", History: 1, TTL: ttl, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func newBucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	return bucketOf(t, "", time.Hour, stack.InProcess())
}

func fresh(owner string) job.Record {
	return job.Record{Phase: job.Working, Attempt: 1, Sequence: 7, Digest: "d", Owner: owner, UpdatedAt: time.Unix(1_800_000_000, 0).UTC()}
}

// keyOf is the key of a job of an id, at the destination of most tests.
func keyOf(id string) schemas.JobKey { return schemas.JobKey{Destination: "good-health", ID: id} }

func open(t *testing.T, l *Ledger, id string, record job.Record, wantCreated bool) *page {
	t.Helper()
	p, created, err := l.Open(t.Context(), keyOf(id), record)
	if err != nil || created != wantCreated {
		t.Fatalf("created %v, %v; want %v", created, err, wantCreated)
	}
	return p.(*page)
}

func wantFault(t *testing.T, err error, kind fault.Kind, scope fault.Scope, code string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != kind || f.Scope != scope || f.Code != code {
		t.Fatalf("%#v, want %s %s %s", err, kind, scope, code)
	}
}

func TestOneOfManyMakesTheRecord(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		var created atomic.Int32
		var owner atomic.Value
		owners := make(chan string, 16)
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				me := fresh(string(rune('A' + i)))
				p, made, err := New(bucket, limit).Open(t.Context(), keyOf(id), me)
				if err != nil {
					t.Error(err)
					return
				}
				if made {
					created.Add(1)
					owner.Store(me.Owner)
				}
				owners <- p.Record().Owner
			})
		}
		all.Wait()
		close(owners)
		if created.Load() != 1 {
			t.Fatalf("%d made the record of %s, want 1", created.Load(), id)
		}
		for seen := range owners {
			if seen != owner.Load() {
				t.Errorf("one sees %s as owner, want %s", seen, owner.Load())
			}
		}
	}
}

// TestTheLoserIsSuperseded: of two that hold the same page, the second to save
// learns that it lost, and goes on losing.
func TestTheLoserIsSuperseded(t *testing.T) {
	t.Parallel()
	l := New(newBucket(t), limit)
	first := open(t, l, "a", fresh("first"), true)
	second := open(t, l, "a", fresh("second"), false)
	if !reflect.DeepEqual(second.Record(), first.Record()) {
		t.Errorf("found %+v, want %+v", second.Record(), first.Record())
	}
	mine := second.Record()
	mine.Owner, mine.Phase = "second", job.Sending
	if err := second.Save(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	theirs := first.Record()
	theirs.Phase = job.Sending
	for range 2 {
		err := first.Save(t.Context(), theirs)
		wantFault(t, err, fault.Superseded, fault.Job, "superseded")
		if first.Record().Phase != job.Working {
			t.Error("the loser's page changed")
		}
	}
	mine.Phase = job.Accepted
	if err := second.Save(t.Context(), mine); err != nil {
		t.Error(err)
	}
	found, ok, err := l.Find(t.Context(), keyOf("a"))
	if err != nil || !ok || !reflect.DeepEqual(found, mine) || !reflect.DeepEqual(second.Record(), mine) {
		t.Errorf("%+v %v %v", found, ok, err)
	}
}

// TestASaveRace: sixteen hold the same page and save at once; one gets through.
func TestASaveRace(t *testing.T) {
	t.Parallel()
	l := New(newBucket(t), limit)
	open(t, l, "a", fresh("0"), true)
	var won atomic.Int32
	var all sync.WaitGroup
	var pages []*page
	for range 16 {
		pages = append(pages, open(t, l, "a", fresh("x"), false))
	}
	for i, p := range pages {
		all.Go(func() {
			r := p.Record()
			r.Owner = string(rune('A' + i))
			err := p.Save(t.Context(), r)
			if err == nil {
				won.Add(1)
				return
			}
			if f := fault.Of(err); f.Kind != fault.Superseded {
				t.Errorf("%v: %v", err, f.Cause)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won, want 1", won.Load())
	}
}

func TestWholeRecordIsKept(t *testing.T) {
	t.Parallel()
	l := New(newBucket(t), limit)
	full := fresh("w")
	full.Phase, full.NoEmbed, full.PossibleDuplicate = job.Waiting, true, true
	full.NextAttemptAt = time.Unix(1_900_000_000, 5).UTC()
	full.Reason = &schemas.Reason{Kind: "retryable", Code: "c", Text: "t", Path: "/files/0"}
	full.Receipt = &schemas.Receipt{Status: 200, AcceptedAt: time.Unix(1_900_000_000, 0).UTC()}
	full.Files = []job.FileRecord{{Pin: &job.Pin{ETag: `"e"`, Size: 1 << 40}, SHA1: []byte{1, 2}, SHA256: "s", URL: "https://blob.example/1", Transfer: "upload"}}
	open(t, l, "a", full, true)
	if got := open(t, l, "a", fresh("x"), false).Record(); !reflect.DeepEqual(got, full) {
		t.Errorf("%+v\nwant %+v", got, full)
	}
}

func TestFindKnowsNothing(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	l := New(bucket, limit)
	if r, ok, err := l.Find(t.Context(), keyOf("a")); ok || err != nil || r.Phase != "" {
		t.Errorf("%+v %v %v", r, ok, err)
	}
	p := open(t, l, "a", fresh("w"), true)
	for _, remove := range []func(context.Context, string, ...jetstream.KVDeleteOpt) error{bucket.Delete, bucket.Purge} {
		if err := remove(t.Context(), keyOf("a").Tokens()); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := l.Find(t.Context(), keyOf("a")); ok || err != nil {
			t.Errorf("a deleted record: %v %v", ok, err)
		}
		wantFault(t, p.Save(t.Context(), fresh("w")), fault.Superseded, fault.Job, "superseded")
		p = open(t, l, "a", fresh("w2"), true)
	}
}

// TestAnIDOfTwoDestinations is two records.
func TestAnIDOfTwoDestinations(t *testing.T) {
	t.Parallel()
	l := New(newBucket(t), limit)
	here := open(t, l, "a", fresh("here"), true)
	for _, destination := range []string{"clinic", "good.health", "good-health.a"} {
		key := schemas.JobKey{Destination: destination, ID: "a"}
		page, created, err := l.Open(t.Context(), key, fresh(destination))
		if err != nil || !created || page.Record().Owner != destination {
			t.Fatalf("%s: created %v, %v", key, created, err)
		}
		ended := page.Record()
		ended.Phase = job.Accepted
		if err := page.Save(t.Context(), ended); err != nil {
			t.Fatal(err)
		}
	}
	if err := here.Save(t.Context(), fresh("still here")); err != nil {
		t.Errorf("the others took the record: %v", err)
	}
	if r, ok, err := l.Find(t.Context(), keyOf("a")); err != nil || !ok || r.Phase != job.Working || r.Owner != "still here" {
		t.Errorf("%+v %v %v", r, ok, err)
	}
}

func TestRecordsExpire(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	l := New(bucketOf(t, "", time.Second, stack.InProcess()), limit)
	open(t, l, "a", fresh("w"), true)
	until(t, "the record is gone", func() bool {
		_, ok, err := l.Find(t.Context(), keyOf("a"))
		return err == nil && !ok
	})
	open(t, l, "a", fresh("w"), true)
}

func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	l := New(bucket, limit)
	for name, value := range map[string]string{
		"not-json": "canary", "null": "null", "empty-object": `{}`, "list": `[]`, "empty": "", "wrong-type": `{"phase":"working","attempt":"canary"}`,
	} {
		if _, err := bucket.Put(t.Context(), keyOf(name).Tokens(), []byte(value)); err != nil {
			t.Fatal(err)
		}
		_, _, err := l.Open(t.Context(), keyOf(name), fresh("w"))
		wantFault(t, err, fault.UnknownOutcome, fault.Job, CodeUnreadable)
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s is quoted: %v", name, err)
		}
		_, ok, err := l.Find(t.Context(), keyOf(name))
		wantFault(t, err, fault.UnknownOutcome, fault.Job, CodeUnreadable)
		if ok {
			t.Errorf("%s was found", name)
		}
		if entry, err := bucket.Get(t.Context(), keyOf(name).Tokens()); err != nil || string(entry.Value()) != value {
			t.Errorf("%s was changed, %v", name, err)
		}
	}
}

// TestRecordsOfALaterVersion are neither read nor replaced.
func TestRecordsOfALaterVersion(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	l := New(bucket, limit)
	for name, value := range map[string]string{
		"version": `{"version":2,"phase":"working","attempt":1}`, "phase": `{"version":1,"phase":"delivered","attempt":1}`,
	} {
		if _, err := bucket.Put(t.Context(), keyOf(name).Tokens(), []byte(value)); err != nil {
			t.Fatal(err)
		}
		_, _, err := l.Open(t.Context(), keyOf(name), fresh("w"))
		wantFault(t, err, fault.Retryable, fault.Job, "ledger_later_version")
		if entry, err := bucket.Get(t.Context(), keyOf(name).Tokens()); err != nil || string(entry.Value()) != value {
			t.Errorf("%s was changed, %v", name, err)
		}
	}
	for value, accepted := range map[string]bool{
		`{"version":1,"phase":"accepted"}`: true, `{"phase":"accepted"}`: true, `{"version":2,"phase":"accepted"}`: false, `{"version":1,"phase":"failed"}`: false, `[]`: false,
	} {
		if Accepted([]byte(value)) != accepted {
			t.Errorf("%s: accepted %t; what is not of this version must not be moved", value, !accepted)
		}
	}
}

// TestASaveKeepsWhatALaterVersionAdded to a record of this version.
func TestASaveKeepsWhatALaterVersionAdded(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	l := New(bucket, limit)
	if _, err := bucket.Put(t.Context(), keyOf("a").Tokens(), []byte(`{"version":1,"phase":"working","attempt":1,"owner":"next","hue":"blue"}`)); err != nil {
		t.Fatal(err)
	}
	page := open(t, l, "a", fresh("w"), false)
	r := page.Record()
	r.Phase, r.Owner = job.Waiting, "w"
	if err := page.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	entry, err := bucket.Get(t.Context(), keyOf("a").Tokens())
	if err != nil || !strings.Contains(string(entry.Value()), `"hue":"blue"`) || !strings.Contains(string(entry.Value()), `"phase":"waiting"`) {
		t.Errorf("%s, %v", entry.Value(), err)
	}
}

func TestAnIDThatIsNoKey(t *testing.T) {
	t.Parallel()
	_, _, err := New(newBucket(t), time.Hour).Open(t.Context(), keyOf("a b"), fresh("w"))
	wantFault(t, err, fault.Retryable, fault.Ledger, "ledger_unavailable")
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	devtest.Until(t, what, limit, holds)
}

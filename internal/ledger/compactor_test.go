package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// TestRecordsWaitForTheGrace: between the writing of a page and the removal lies
// a grace, also for a compactor that knows nothing of the pass before.
func TestRecordsWaitForTheGrace(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	for _, step := range []struct {
		later time.Duration
		want  archive.Pass
	}{
		{time.Minute, archive.Pass{Archived: 1}},
		{4 * time.Minute, archive.Pass{Waiting: 1}},
		{6 * time.Minute, archive.Pass{Removed: 1}},
	} {
		compactor := w.queue.Archive(Accepted, time.Nanosecond, 5*time.Minute)
		if got, err := compactor.Compact(t.Context(), w.now.Add(step.later)); err != nil || got != step.want {
			t.Errorf("a pass after %s did %+v, %v; want %+v", step.later, got, err, step.want)
		}
	}
}

// TestARecordThatChangedStays: the compactor removes the revision that it has
// archived, and no other.
func TestARecordThatChangedStays(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	for _, id := range []string{"before", "after"} {
		w.end(id, job.Accepted)
	}
	change := func(id string) {
		entry, err := w.bucket.Get(t.Context(), keyOf(id).Tokens())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.bucket.Update(t.Context(), keyOf(id).Tokens(), entry.Value(), entry.Revision()); err != nil {
			t.Fatal(err)
		}
	}
	store, bucket := w.queue.ArchivePorts()
	meddling := archive.New(store, &meddler{Bucket: bucket, before: func() { change("before") }, after: func() { change("after") }},
		archive.Settings{Prefix: "chartpost.ended", Ripe: Accepted})
	now := w.now.Add(2 * time.Hour)
	if pass, err := meddling.Compact(t.Context(), now); err != nil || pass.Archived != 1 {
		t.Errorf("%+v, %v; want the one archived that was as scanned", pass, err)
	}
	if _, err := meddling.Compact(t.Context(), now); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"before", "after"} {
		if _, err := w.bucket.Get(t.Context(), keyOf(id).Tokens()); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// meddler changes records between the steps of a compactor, each once.
type meddler struct {
	archive.Bucket
	before, after func()
	reading       sync.Once
	removing      sync.Once
}

func (m *meddler) At(ctx context.Context, revision uint64) (archive.Record, bool, error) {
	m.reading.Do(m.before)
	return m.Bucket.At(ctx, revision)
}

func (m *meddler) Remove(ctx context.Context, born time.Time, revisions []uint64) error {
	m.removing.Do(m.after)
	return m.Bucket.Remove(ctx, born, revisions)
}

// TestABucketMadeAgainKeepsItsRecords: the sequences of the old one are others'.
func TestABucketMadeAgainKeepsItsRecords(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	store, bucket := w.queue.ArchivePorts()
	remake := func() {
		w.remakeBucket()
		for _, id := range []string{"b", "c"} {
			if _, err := w.bucket.Create(t.Context(), keyOf(id).Tokens(), []byte(`{"phase":"working"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	meddling := archive.New(store, &meddler{Bucket: bucket, after: remake}, archive.Settings{Prefix: "chartpost.ended", Ripe: Accepted})
	if _, err := meddling.Compact(t.Context(), w.now.Add(2*time.Hour)); !errors.Is(err, archive.ErrRemade) {
		t.Errorf("%v, want %v", err, archive.ErrRemade)
	}
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 2 {
		t.Errorf("the new bucket has %d records, want 2", left)
	}
	open(t, w.Ledger, "a", fresh("x"), false)
}

func (w *archiveWorld) remakeBucket() {
	w.t.Helper()
	if err := w.js.DeleteStream(w.t.Context(), "KV_CHARTPOST_LEDGER"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.queue.Setup(w.t.Context(), archiveLayout(1)); err != nil {
		w.t.Fatal(err)
	}
}

// TestTheSameRevisionOfAnotherBucketIsAnotherRecord, of the same job.
func TestTheSameRevisionOfAnotherBucketIsAnotherRecord(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	w.remakeBucket()
	for _, value := range []string{`{"phase":"working"}`, `{"phase":"accepted","digest":"second"}`} {
		if _, err := w.bucket.Put(t.Context(), keyOf("a").Tokens(), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []archive.Pass{{Archived: 1}, {Removed: 1}} {
		if got := w.compact(2 * time.Hour); got != want {
			t.Errorf("a pass did %+v, want %+v", got, want)
		}
	}
	if found, ok, err := w.Find(t.Context(), keyOf("a")); err != nil || !ok || found.Digest != "second" {
		t.Errorf("found %+v, %v, %v; want the second record", found, ok, err)
	}
}

// TestAnArchiveMadeAgainLosesNoRecordOfTheBucket: what was archived and not yet
// removed is archived again.
func TestAnArchiveMadeAgainLosesNoRecordOfTheBucket(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	for range 2 {
		if pass := w.compact(2 * time.Hour); pass != (archive.Pass{Archived: 1}) {
			t.Errorf("a pass did %+v", pass)
		}
		stream, err := w.js.Stream(t.Context(), "CHARTPOST_ENDED")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.js.DeleteStream(t.Context(), "CHARTPOST_ENDED"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
			t.Fatal(err)
		}
	}
	w.compact(2 * time.Hour)
	w.compact(2 * time.Hour)
	open(t, w.Ledger, "a", fresh("x"), false)
}

// TestADamagedPageCostsOnlyItsOwnRecords: they stay in the bucket, the page stays
// as it is, and the others leave.
func TestADamagedPageCostsOnlyItsOwnRecords(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	w.harm("page", "damaged")
	w.end("b", job.Accepted)
	for range 2 {
		w.now = w.now.Add(2 * time.Hour)
		if _, err := w.compactor.Compact(t.Context(), w.now); err == nil {
			t.Error("the pass does not tell of the page")
		} else if _, is := errors.AsType[*archive.Unreadable](err); !is {
			t.Error(err)
		}
	}
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 1 {
		t.Errorf("%d records are in the bucket, want that of the damaged page", left)
	}
	for _, id := range []string{"a", "b"} {
		open(t, w.Ledger, id, fresh("x"), false)
	}
}

// TestALostChunkIsWrittenAgain as long as the bucket has its records.
func TestALostChunkIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	w.harm("chunk", "gone")
	for _, want := range []archive.Pass{{Archived: 1}, {Removed: 1}} {
		if got := w.compact(time.Hour); got != want {
			t.Errorf("a pass did %+v, want %+v", got, want)
		}
	}
	open(t, w.Ledger, "a", fresh("x"), false)
}

// TestExpiredRunsAreForgotten: a chunk that has reached its age is no damage, and
// the next writing of the page drops it.
func TestExpiredRunsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	w.end("a", job.Accepted)
	store, bucket := w.queue.ArchivePorts()
	early := archive.New(store, bucket, archive.Settings{Prefix: "chartpost.ended", Ripe: Accepted, After: -200 * time.Hour})
	if pass, err := early.Compact(t.Context(), w.now.Add(-102*time.Hour)); err != nil || pass.Archived != 1 {
		t.Fatal(pass, err)
	}
	if _, ok, err := w.compactor.Lookup(t.Context(), keyOf("a").Tokens()); err != nil || !ok {
		t.Error(ok, err)
	}
	w.harm("chunk", "gone")
	if _, ok, err := w.compactor.Lookup(t.Context(), keyOf("a").Tokens()); err != nil || ok {
		t.Errorf("%v, %v; want neither a record nor an error", ok, err)
	}
	before := w.pageSize()
	w.compact(2 * time.Hour)
	if after := w.pageSize(); after != before {
		t.Errorf("the page had %d bytes with a run that has expired, and has %d with the new one alone", before, after)
	}
}

// pageSize is the size of the only page.
func (w *archiveWorld) pageSize() int {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), "CHARTPOST_ENDED")
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("chartpost.ended.page.*"))
	if err != nil || len(info.State.Subjects) != 1 {
		w.t.Fatal(info, err)
	}
	for subject := range info.State.Subjects {
		msg, err := s.GetLastMsgForSubject(w.t.Context(), subject)
		if err != nil {
			w.t.Fatal(err)
		}
		return len(msg.Data)
	}
	return 0
}

// TestKilledServers: a genuine server is killed with kill -9 at some request of a
// compactor and comes back. Every job is known afterwards.
func TestKilledServers(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	w := newArchiveWorld(t, server.URL(), 1, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	const jobs = 30
	for round, request := range []int64{5, 70, 95, 125} {
		for i := range jobs {
			w.end(fmt.Sprintf("job-%d-%d", round, i), job.Accepted)
		}
		w.now = w.now.Add(2 * time.Hour)
		dying := w.mortal(request, func() {
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
		})
		if _, err := dying.Compact(t.Context(), w.now); err == nil {
			t.Errorf("request %d was never made", request)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		for before := range round + 1 {
			for i := range jobs {
				open(t, w.Ledger, fmt.Sprintf("job-%d-%d", before, i), fresh("x"), false)
			}
		}
	}
	w.compact(2 * time.Hour)
	w.compact(2 * time.Hour)
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 0 {
		t.Errorf("%d records are left in the bucket", left)
	}
}

// TestTheArchiveOutlivesItsLeader: on three servers the leader of the archive is
// killed between two passes.
func TestTheArchiveOutlivesItsLeader(t *testing.T) {
	t.Parallel()
	c := devtest.Cluster(t, 3)
	w := newArchiveWorld(t, c.URL(), 3, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	const jobs = 20
	for i := range jobs {
		w.end(fmt.Sprintf("job-%d", i), job.Accepted)
	}
	pass := func() {
		w.now = w.now.Add(2 * time.Hour)
		devtest.Until(t, "a pass succeeds", limit, func() bool {
			_, err := w.compactor.Compact(t.Context(), w.now)
			return err == nil
		})
	}
	pass()
	leader, err := c.StreamLeader(t.Context(), "CHARTPOST_ENDED")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[leader].Kill(); err != nil {
		t.Fatal(err)
	}
	pass()
	for i := range jobs {
		open(t, w.Ledger, fmt.Sprintf("job-%d", i), fresh("x"), false)
	}
	if err := c.Nodes[leader].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	devtest.Until(t, "the bucket is empty", limit, func() bool {
		w.now = w.now.Add(2 * time.Hour)
		_, err := w.compactor.Compact(t.Context(), w.now)
		return err == nil && w.size("KV_CHARTPOST_LEDGER") == 0
	})
	for i := range jobs {
		open(t, w.Ledger, fmt.Sprintf("job-%d", i), fresh("x"), false)
	}
}

package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// archiveWorld is a ledger with its archive, as setup makes both.
type archiveWorld struct {
	*Ledger
	t      *testing.T
	queue  *natsq.Conn
	bucket jetstream.KeyValue
	js     jetstream.JetStream
	// compactor's time goes on by itself: see later.
	compactor *archive.Archive
	now       time.Time
}

func newArchiveWorld(t *testing.T, url string, replicas int, options ...nats.Option) *archiveWorld {
	t.Helper()
	options = append(options, nats.Timeout(20*time.Second))
	queue, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost", Name: t.Name(), Options: options}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	patient, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := queue.Setup(patient, archiveLayout(replicas)); err != nil {
		t.Fatal(err)
	}
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	return &archiveWorld{
		Ledger: New(bucket, limit), t: t, queue: queue, bucket: bucket, js: js,
		compactor: queue.Archive(Accepted, time.Hour, 5*time.Minute), now: time.Now(),
	}
}

func archiveLayout(replicas int) natsq.Layout {
	return natsq.Layout{Replicas: replicas, LedgerAge: 100 * time.Hour, LedgerOpenAge: 200 * time.Hour, Duplicates: time.Minute}
}

func newSmallArchiveWorld(t *testing.T) *archiveWorld {
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	return newArchiveWorld(t, "", 1, stack.InProcess())
}

// compact makes a pass, some time after the last one.
func (w *archiveWorld) compact(after time.Duration) archive.Pass {
	w.t.Helper()
	w.now = w.now.Add(after)
	pass, err := w.compactor.Compact(w.t.Context(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return pass
}

func (w *archiveWorld) end(id string, phase job.Phase) job.Record {
	w.t.Helper()
	p := open(w.t, w.Ledger, id, fresh("w"), true)
	save(w.t, p, phase)
	return p.Record()
}

// size is how many messages a stream has.
func (w *archiveWorld) size(stream string) uint64 {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		w.t.Fatal(err)
	}
	if subjects := uint64(len(info.State.Subjects)); subjects != info.State.Msgs {
		w.t.Errorf("%s has %d subjects with %d messages", stream, subjects, info.State.Msgs)
	}
	return info.State.Msgs
}

// TestAcceptedRecordsLeaveTheBucket, in two passes; all others stay, and all are
// found as they were.
func TestAcceptedRecordsLeaveTheBucket(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	const accepted = 40
	records := map[string]job.Record{}
	for i := range accepted {
		id := fmt.Sprintf("ward-%d.job-%d", i%3, i)
		records[id] = w.end(id, job.Accepted)
	}
	for _, phase := range []job.Phase{job.Failed, job.Held, job.Cancelled, job.Waiting, job.Sending} {
		records[string(phase)] = w.end(string(phase), phase)
	}
	const others = 5

	for _, step := range []struct {
		after time.Duration
		want  archive.Pass
		left  uint64
	}{
		{59 * time.Minute, archive.Pass{}, accepted + others},
		{2 * time.Minute, archive.Pass{Archived: accepted}, accepted + others},
		{0, archive.Pass{Removed: accepted}, others},
		{time.Hour, archive.Pass{}, others},
	} {
		if got := w.compact(step.after); got != step.want {
			t.Errorf("a pass did %+v, want %+v", got, step.want)
		}
		if left := w.size("KV_CHARTPOST_LEDGER"); left != step.left {
			t.Errorf("%d records are left in the bucket, want %d", left, step.left)
		}
		for id, want := range records {
			got, ok, err := w.Find(t.Context(), keyOf(id))
			if err != nil || !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is found as %+v, %v, %v; want %+v", id, got, ok, err, want)
			}
		}
	}
	var keys []schemas.JobKey
	for id := range records {
		keys = append(keys, keyOf(id))
	}
	for _, newest := range []bool{false, true} {
		found, err := w.queue.RunLedger().Records(t.Context(), append(keys, keyOf("absent")), newest)
		if err != nil || len(found) != len(records) {
			t.Errorf("a backfill finds %d records of %d, %v", len(found), len(records), err)
		}
	}
}

// TestARepeatOfAnArchivedJob is recognized, leaves nothing in the bucket, and its
// record can be saved once.
func TestARepeatOfAnArchivedJob(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	want := w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	w.compact(time.Hour)
	first, second := open(t, w.Ledger, "a", fresh("x"), false), open(t, w.Ledger, "a", fresh("y"), false)
	if got := first.Record(); !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 0 {
		t.Errorf("%d records are in the bucket, want none", left)
	}
	save(t, first, job.Accepted)
	late := second.Record()
	late.Owner = "y"
	wantFault(t, second.Save(t.Context(), late), fault.Superseded, fault.Job, "superseded")
	open(t, w.Ledger, "b", fresh("x"), true)
}

// TestALateRecordIsNotBelieved: a worker that stood still made a record of a job
// that had been accepted, archived and removed, and ended before it asked the
// archive. Whoever comes next finds the job accepted.
func TestALateRecordIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	want := w.end("a", job.Accepted)
	w.compact(2 * time.Hour)
	w.compact(time.Hour)
	blind := &Ledger{bucket: w.bucket, patience: limit, ended: w.ended}
	stale := open(t, blind, "a", fresh("late"), true)
	if got, ok, err := w.Find(t.Context(), keyOf("a")); err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, %v, %v; want %+v", got, ok, err, want)
	}
	p := open(t, w.Ledger, "a", fresh("x"), false)
	if got := p.Record(); !reflect.DeepEqual(got, want) {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantFault(t, stale.Save(t.Context(), stale.Record()), fault.Superseded, fault.Job, "superseded")
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 0 {
		t.Errorf("%d records are in the bucket, want none", left)
	}
}

// frozen is a bucket of a worker that stands still before it makes a record.
type frozen struct {
	jetstream.KeyValue
	archived
	meanwhile func()
}

func (f frozen) Create(ctx context.Context, key string, value []byte, options ...jetstream.KVCreateOpt) (uint64, error) {
	f.meanwhile()
	return f.KeyValue.Create(ctx, key, value, options...)
}

// TestAWorkerThatStoodStill while the job was accepted by another worker, and its
// record archived and removed, finds it all the same.
func TestAWorkerThatStoodStill(t *testing.T) {
	t.Parallel()
	w := newSmallArchiveWorld(t)
	bucket := frozen{w.bucket, w.bucket.(archived), func() {
		w.end("a", job.Accepted)
		w.compact(2 * time.Hour)
		w.compact(time.Hour)
	}}
	p := open(t, New(bucket, limit), "a", fresh("late"), false)
	if got := p.Record(); got.Phase != job.Accepted || got.Owner != "w" {
		t.Errorf("found %+v", got)
	}
	if left := w.size("KV_CHARTPOST_LEDGER"); left != 0 {
		t.Errorf("%d records are in the bucket, want none", left)
	}
}

// TestADamagedArchiveIsNotAbsence: with an index page or a chunk that cannot be
// read, a job that may be in there is not taken for new, and others are.
func TestADamagedArchiveIsNotAbsence(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"page", "chunk"} {
		for _, harm := range []string{"damaged", "gone"} {
			if part == "page" && harm == "gone" {
				continue // as before the first pass
			}
			t.Run(part+" "+harm, func(t *testing.T) {
				t.Parallel()
				w := newSmallArchiveWorld(t)
				w.end("a", job.Accepted)
				w.compact(2 * time.Hour)
				w.compact(time.Hour)
				w.harm(part, harm)
				if _, err := w.queue.RunLedger().Records(t.Context(), []schemas.JobKey{keyOf("a")}, true); err == nil {
					t.Error("a backfill takes the job for new")
				}
				for range 2 {
					_, _, err := w.Open(t.Context(), keyOf("a"), fresh("x"))
					wantFault(t, err, fault.UnknownOutcome, fault.Job, CodeUnreadable)
					_, _, err = w.Find(t.Context(), keyOf("a"))
					wantFault(t, err, fault.UnknownOutcome, fault.Job, CodeUnreadable)
				}
				open(t, w.Ledger, "b", fresh("x"), true)
			})
		}
	}
}

// harm spoils the only page or chunk of the archive.
func (w *archiveWorld) harm(part, how string) {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), "CHARTPOST_ENDED")
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("chartpost.ended."+part+".>"))
	if err != nil || len(info.State.Subjects) != 1 {
		w.t.Fatal(info, err)
	}
	for subject := range info.State.Subjects {
		msg, err := s.GetLastMsgForSubject(w.t.Context(), subject)
		if err != nil {
			w.t.Fatal(err)
		}
		if how == "gone" {
			err = s.DeleteMsg(w.t.Context(), msg.Sequence)
		} else {
			msg.Data[len(msg.Data)/2] ^= 1
			_, err = w.js.Publish(w.t.Context(), subject, msg.Data)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

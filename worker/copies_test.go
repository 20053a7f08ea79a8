package worker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func accepts(int) *fault.Fault { return nil }

func digest(data []byte) string { s := sha256.Sum256(data); return hex.EncodeToString(s[:]) }

// TestReusedIDs: jobs under an id that is taken are not sent, and each of them is
// kept and told of, also where the streams still remember what was said of another.
func TestReusedIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &script{post: accepts}
	w.start(s, nil)
	first, second, third := jobJSON("job", "a"), jobJSON("job", "b"), jobJSON("job", "c")
	w.publish(first)
	w.drained()
	w.publish(first) // a plain repeat, told of under the id of the attempt
	w.drained()
	w.publish(second)
	w.drained()
	w.publish(third)
	w.drained()
	letters := w.messages("DEAD")
	if len(letters) != 2 || !bytes.Equal(letters[0].Data, second) || !bytes.Equal(letters[1].Data, third) {
		t.Fatalf("%d dead letters, want both jobs whose id was taken", len(letters))
	}
	events := w.events()
	if got, want := describe(events), "1/accepted 1/duplicate 0/duplicate 0/duplicate"; got != want {
		t.Fatalf("events %q, want %q", got, want)
	}
	if e := events[1].Data; e.Receipt == nil || e.Reason != nil {
		t.Errorf("a plain repeat says %+v %+v, want the first receipt", e.Receipt, e.Reason)
	}
	if e := events[2].Data; e.Reason == nil || e.Reason.Code != "id_reused" || e.Receipt != nil || e.Files != nil {
		t.Errorf("another job says %+v with the receipt %+v, which is not its own", e.Reason, e.Receipt)
	}
	if n := s.posts.Load(); n != 1 {
		t.Errorf("%d posts", n)
	}
}

// TestAnOldCopyOfOtherContent: that a copy is older than the recorded one does
// not make it the same job. It may have waited in another lane.
func TestAnOldCopyOfOtherContent(t *testing.T) {
	t.Parallel()
	for _, phase := range []job.Phase{job.Accepted, job.Failed} {
		w := newWorld(t)
		other, same := jobJSON("other", "a"), jobJSON("same", "a")
		reason := &schemas.Reason{Kind: "permanent", Code: "x"}
		w.remember("other", job.Record{Phase: phase, Attempt: 1, Sequence: 1000, Stored: time.Now().Add(time.Hour), Digest: digest([]byte("newer")), Reason: reason})
		w.remember("same", job.Record{Phase: phase, Attempt: 1, Sequence: 1000, Stored: time.Now().Add(time.Hour), Digest: digest(same), Reason: reason})
		s := &script{post: accepts}
		w.start(s, nil)
		w.publish(other)
		w.publish(same)
		w.drained()
		if letters := w.messages("DEAD"); len(letters) != 1 || !bytes.Equal(letters[0].Data, other) {
			t.Errorf("%s: %d dead letters, want the one of other content", phase, len(letters))
		}
		if got := describe(w.events()); got != "0/duplicate" || s.posts.Load() != 0 {
			t.Errorf("%s: events %q, %d posts", phase, got, s.posts.Load())
		}
	}
}

// TestOtherContentBesideOneInDoubt: a copy of other content takes the place of one that
// was lost while it was sent. From then on it is the job, and the first one's content,
// published once more, is kept and told of: no other copy carries that on.
func TestOtherContentBesideOneInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Policy.First, w.settings.Policy.Longest = 10*time.Second, 10*time.Second
	first, second := jobJSON("job", "a"), jobJSON("job", "b")
	w.remember("job", job.Record{Phase: job.Sending, Attempt: 2, Sequence: 1000, Digest: digest(first)})
	s := &script{post: accepts}
	w.start(s, nil)
	w.publish(second)
	w.until("it is put off", func() bool { return len(w.events()) == 1 })
	w.publish(first)
	w.until("the other is told of", func() bool { return len(w.events()) > 1 })
	if letters := w.messages("DEAD"); len(letters) != 1 || !bytes.Equal(letters[0].Data, first) {
		t.Errorf("%d dead letters, want the copy of other content", len(letters))
	}
	if r := w.events()[1].Data.Reason; r == nil || r.Code != "id_reused" {
		t.Errorf("the copy says %+v", r)
	}
	w.drained()
	if got, want := describe(w.events()), "2/retrying! 0/duplicate 3/accepted!"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if r := w.record("job"); r.Digest != digest(second) {
		t.Error("the record has the digest of the other copy")
	}
}

// TestOtherContentInPlaceOfALostCopy has attempts of its own: an event under a number
// that was used for the lost one would be dropped as its repeat.
func TestOtherContentInPlaceOfALostCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remember("job", job.Record{Phase: job.Working, Attempt: 2, Sequence: 1000, Digest: digest(jobJSON("job", "a"))})
	w.start(&script{post: accepts}, nil)
	w.publish(jobJSON("job", "b"))
	w.drained()
	if got, want := describe(w.events()), "3/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestALostSchedule: a waiting job whose schedule is gone is carried on by the
// next copy that is published, and its own next schedule is not taken for the
// lost one.
func TestALostSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("job", "a")
	if err := w.queue.Outbox().Later(t.Context(), worker.Schedule{
		Lane: goodHealth, JobID: "job", Data: data, Attempt: 3, At: time.Now().Add(time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.stream("DUE").Purge(t.Context(), jetstream.WithPurgeSubject(schemas.LaterSubject(w.prefix, keyOf("job")))); err != nil {
		t.Fatal(err)
	}
	w.remember("job", job.Record{
		Phase: job.Waiting, Attempt: 2, Sequence: 1000, Digest: digest(data), NextAttemptAt: time.Now().Add(time.Hour),
		Reason: &schemas.Reason{Kind: "retryable", Code: "x"},
	})
	s := &script{post: func(n int) *fault.Fault {
		if n == 1 {
			return busy
		}
		return nil
	}}
	w.start(s, nil)
	w.publish(data)
	w.drained()
	if got, want := describe(w.events()), "3/retrying 4/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestACopyInPlaceOfOneLostWhileSending: it is not known what the lost one sent,
// and everything from there on says so, under numbers of its own.
func TestACopyInPlaceOfOneLostWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("job", "a")
	w.remember("job", job.Record{Phase: job.Sending, Attempt: 2, Sequence: 1000, Digest: digest(data)})
	s := &script{post: accepts}
	w.start(s, nil)
	sequence := w.publish(data)
	w.until("it is tried again", func() bool { return len(w.events()) > 0 })
	if r := w.record("job"); r.Phase == job.Waiting && r.Sequence != sequence {
		t.Errorf("the record speaks of copy %d, the one concluded is %d", r.Sequence, sequence)
	}
	w.drained()
	if got, want := describe(w.events()), "2/retrying! 3/accepted!"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestAScheduledCopyInPlaceOfOneLostWhileSending: the number the schedule gave is
// used up, or its successor would be dropped as a repeat.
func TestAScheduledCopyInPlaceOfOneLostWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("job", "a")
	w.remember("job", job.Record{Phase: job.Sending, Attempt: 2, Sequence: 1000, Digest: digest(data)})
	if err := w.queue.Outbox().Later(t.Context(), worker.Schedule{
		Lane: goodHealth, JobID: "job", Data: data, Attempt: 3, At: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	w.start(&script{post: accepts}, nil)
	w.until("it is accepted", func() bool { return strings.HasSuffix(describe(w.events()), "accepted!") })
	w.drained()
	if got, want := describe(w.events()), "3/retrying! 4/accepted!"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestAScheduleBehindTheLedger: the queue lost what was written last, and the
// schedule of an attempt that was made brings the job's only copy.
func TestAScheduleBehindTheLedger(t *testing.T) {
	t.Parallel()
	for phase, want := range map[job.Phase]string{
		job.Waiting: "4/accepted", job.Working: "3/accepted", job.Sending: "3/retrying! 4/accepted!", job.Failed: "",
	} {
		w := newWorld(t)
		data := jobJSON("job", "a")
		w.remember("job", job.Record{
			Phase: phase, Attempt: 3, Sequence: 1000, Digest: digest(data), Reason: &schemas.Reason{Kind: "retryable", Code: "x"},
		})
		if err := w.queue.Outbox().Later(t.Context(), worker.Schedule{
			Lane: goodHealth, JobID: "job", Data: data, Attempt: 2, At: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}
		stop := w.start(&script{post: accepts}, nil)
		w.drained()
		stop()
		if got := describe(w.events()); got != want {
			t.Errorf("%s: events %q, want %q", phase, got, want)
		}
	}
}

// TestAScheduleAheadOfTheLedger: the number it gave is never used a second time.
func TestAScheduleAheadOfTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("job", "a")
	w.remember("job", job.Record{
		Phase: job.Waiting, Attempt: 2, Sequence: 1000, Digest: digest(data), Reason: &schemas.Reason{Kind: "retryable", Code: "x"},
	})
	if err := w.queue.Outbox().Later(t.Context(), worker.Schedule{
		Lane: goodHealth, JobID: "job", Data: data, Attempt: 5, At: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	w.start(&script{post: accepts}, nil)
	w.until("it is accepted", func() bool { return strings.HasSuffix(describe(w.events()), "accepted") })
	if got, want := describe(w.events()), "5/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestPublishedAgainMeanwhile: the copy is dropped, and told of as what it is.
func TestPublishedAgainMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := &script{post: func(int) *fault.Fault { close(begun); <-goOn; return nil }}
	w.start(s, nil)
	data := jobJSON("job", "a")
	w.publish(data)
	<-begun
	w.publish(data)
	w.until("the copy is told of", func() bool { return len(w.events()) == 1 })
	close(goOn)
	w.drained()
	events := w.events()
	if got, want := describe(events), "1/duplicate 1/accepted"; got != want {
		t.Fatalf("events %q, want %q", got, want)
	}
	if r := events[0].Data.Reason; r == nil || r.Code != "in_progress" {
		t.Errorf("the copy says %+v", r)
	}
	if n := len(w.messages("DEAD")); n != 0 || s.posts.Load() != 1 {
		t.Errorf("%d dead letters, %d posts", n, s.posts.Load())
	}
}

// TestPublishedAgainAfterTheEnd runs the job again, with nothing left of the
// files it knew, and after an unknown end says that it may be a duplicate.
func TestPublishedAgainAfterTheEnd(t *testing.T) {
	t.Parallel()
	for phase, want := range map[job.Phase]string{
		job.Failed: "3/accepted", job.Cancelled: "3/accepted", job.Held: "3/accepted!",
	} {
		w := newWorld(t)
		data := jobJSON("job", "a")
		w.remember("job", job.Record{
			Phase: phase, Attempt: 2, Sequence: 0, Digest: digest(data), NoEmbed: true, Files: []job.FileRecord{{URL: "https://old.invalid/"}},
			Reason: &schemas.Reason{Kind: "permanent", Code: "x"},
		})
		var seen job.Record
		s := &script{post: accepts}
		plain := &script{post: accepts}
		s.deliver = func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
			seen = *r
			return plain.Deliver(ctx, schemas.Live, pipeline.Understood{}, r, j, nil)
		}
		stop := w.start(s, nil)
		w.publish(data)
		w.drained()
		stop()
		if got := describe(w.events()); got != want {
			t.Errorf("%s: events %q, want %q", phase, got, want)
		}
		if seen.Files != nil || seen.NoEmbed || seen.Reason != nil || seen.Phase != job.Working {
			t.Errorf("%s: it begins with %+v", phase, seen)
		}
	}
}

// TestFixedWhileItWaited: a copy of other content that carries a job on has a number of
// its own, begins with other files, and keeps what is known of earlier sendings.
func TestFixedWhileItWaited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remember("job", job.Record{
		Phase: job.Working, Attempt: 2, Sequence: 1000, Digest: digest([]byte("before")), PossibleDuplicate: true,
		Files: []job.FileRecord{{URL: "https://old.invalid/"}},
	})
	files := make(chan []job.FileRecord, 1)
	plain := &script{post: accepts}
	w.start(&script{deliver: func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
		files <- slices.Clone(r.Files)
		return plain.Deliver(ctx, schemas.Live, pipeline.Understood{}, r, j, nil)
	}}, nil)
	w.publish(jobJSON("job", "a"))
	w.drained()
	if got := describe(w.events()); got != "3/accepted!" {
		t.Errorf("events %q", got)
	}
	if left := <-files; left != nil {
		t.Errorf("it would send the files of other content: %+v", left)
	}
}

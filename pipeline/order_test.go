package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// TestTheLedgerGoesFirst: at each request the ledger already says what a crash
// at that moment must leave behind.
func TestTheLedgerGoesFirst(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var seen []string
	w.watch(func(what string) {
		r, _ := w.found()
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%s while %s with %d urls", what, r.Phase, urls(r)))
	})
	record, told, err := w.deliver(t.Context(), jobOf(schemas.Upload, w.put("a.txt", document(2000, "a")), w.put("b.txt", document(3000, "b"))))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"upload while working with 0 urls", "upload while working with 1 urls", "message while sending with 2 urls"}
	if !slices.Equal(seen, want) {
		t.Errorf("requests:\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	if len(told.told) != 1 || urls(told.told[0]) != 2 || told.told[0].Phase != job.Sending {
		t.Errorf("told of the uploads %d times", len(told.told))
	}
	kept, _ := w.found()
	if kept.Phase != job.Accepted || kept.Receipt == nil || kept.Receipt.AcceptedAt.IsZero() || kept.Receipt.Location != record.Receipt.Location {
		t.Errorf("the ledger says %s %+v", kept.Phase, kept.Receipt)
	}
	for i, f := range kept.Files {
		if data := document(2000+1000*i, string(rune('a'+i))); f.SHA256 != sha(data) || f.Pin == nil || f.Pin.Size != int64(len(data)) || f.Pin.ETag == "" || f.ContentType != "text/plain" {
			t.Errorf("file %d: %+v", i, f)
		}
	}
	w.took(2, 1)
}

// spent is a pipeline's way to Redox whose budget has room for no message at
// once; waits is called when one is waited for.
type spent struct {
	pipeline.Redox
	uploads int
	waits   func()
}

func (s *spent) TryAdmit(schemas.Class) bool {
	s.uploads--
	return s.uploads >= 0
}

func (s *spent) Admit(ctx context.Context, class schemas.Class) error {
	s.waits()
	return s.Redox.Admit(ctx, class)
}

// TestTheLedgerKnowsTheURLBeforeAWait: the write that says "sending" tells of
// the last file too, but a job that waits for its message's turn is not to be
// uploaded again if the worker ends meanwhile.
func TestTheLedgerKnowsTheURLBeforeAWait(t *testing.T) {
	for name, waits := range map[string]bool{"no wait": false, "a wait": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			way, waited := &spent{Redox: w.gate, uploads: 2}, false
			if waits {
				way.uploads = 1
			}
			way.waits = func() {
				waited = true
				if r, _ := w.found(); r.Phase != job.Working || urls(r) != 1 {
					t.Errorf("while the message waits the ledger says %s with %d urls", r.Phase, urls(r))
				}
			}
			w.line = w.through(way)
			_, told, err := w.deliver(t.Context(), jobOf(schemas.Upload, w.put("a.txt", document(2000, "a"))))
			if err != nil || waited != waits || len(told.told) != 1 || told.admitted != 2 || (told.queued == 1) != waits {
				t.Fatalf("%v; waited %t, told of the upload %d times, admitted %d, queued %d", err, waited, len(told.told), told.admitted, told.queued)
			}
			want := uint64(3) // made, sending, accepted
			if waits {
				want++
			}
			if _, revision := w.found(); revision != want {
				t.Errorf("the ledger was written %d times, want %d", revision, want)
			}
		})
	}
}

// TestEveryPostHasItsOwnWrite: a post that is tried again in its slot is proven
// again, so that a worker that lost the job meanwhile stops.
func TestEveryPostHasItsOwnWrite(t *testing.T) {
	w := newWorld(t)
	w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 2})
	var mu sync.Mutex
	var revisions []uint64
	w.watch(func(string) {
		r, revision := w.found()
		mu.Lock()
		defer mu.Unlock()
		if revisions = append(revisions, revision); r.Phase != job.Sending {
			t.Errorf("a post while the ledger says %s", r.Phase)
		}
	})
	if _, _, err := w.deliver(t.Context(), jobOf(schemas.Embed, w.put("a.txt", document(100, "a")))); err != nil {
		t.Fatal(err)
	}
	if len(revisions) != 3 || revisions[0] >= revisions[1] || revisions[1] >= revisions[2] {
		t.Errorf("the ledger was at %v at the posts, want three, each later", revisions)
	}
	w.took(0, 1)
}

// TestARefusalLeavesNoDoubt: a message that Redox has refused is not "sending"
// while its job waits for the next request, or for an upload in its place.
func TestARefusalLeavesNoDoubt(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusRequestEntityTooLarge} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			w := newWorld(t)
			w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: status, Times: 1})
			way, waited := &spent{Redox: w.gate, uploads: 1}, 0
			way.waits = func() {
				waited++
				if r, _ := w.found(); waited == 1 && r.Phase != job.Working {
					t.Errorf("while a refused job waits the ledger says %s", r.Phase)
				}
			}
			w.line = w.through(way)
			_, _, err := w.deliver(t.Context(), jobOf(schemas.Auto, w.put("a.txt", document(500, "a"))))
			if err != nil || waited == 0 {
				t.Errorf("%v; it waited %d times, want at least one", err, waited)
			}
		})
	}
}

// TestNothingIsSentWithoutALedger: when the record cannot be written, no message
// leaves, and nothing is tried in a circle.
func TestNothingIsSentWithoutALedger(t *testing.T) {
	w := newWorld(t)
	w.ledger = ledger.New(w.bucket, 5*time.Second) // its end is waited for
	asked := jobOf(schemas.Embed, w.put("a.txt", document(100, "a")))
	page, _, err := w.ledger.Open(t.Context(), asked.Key(), job.Record{Phase: job.Working, Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.js.DeleteKeyValue(t.Context(), "LEDGER"); err != nil {
		t.Fatal(err)
	}
	posts := 0
	w.watch(func(string) { posts++ })
	record, _, err := w.deliverOn(t.Context(), asked, page.Record(), kept{Entry: page})
	wantFault(t, err, fault.Retryable, "ledger_unavailable", "")
	if posts != 0 || record.Phase != job.Working {
		t.Errorf("%d posts, phase %s", posts, record.Phase)
	}
}

// TestALostLeaseSendsNothing: a worker that was frozen beyond its lease, at
// whatever moment, hands over no more bytes of a file or a message.
func TestALostLeaseSendsNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		transfer schemas.Transfer
		// at is how many bytes have been read from the store when the lease ends.
		at      int64
		uploads int
	}{
		{"before a file", schemas.Upload, 0, 0},
		{"within a file", schemas.Upload, 100_000, 0},
		{"within a message", schemas.Embed, 100_000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			asked := jobOf(c.transfer, w.put("a.pdf", document(400_000, "a")))
			page, _, err := w.ledger.Open(t.Context(), asked.Key(), job.Record{Phase: job.Working, Attempt: 1})
			if err != nil {
				t.Fatal(err)
			}
			lost := &atomic.Bool{}
			var read int64
			w.line = between(readsOf{w.source, func(n int) {
				if read += int64(n); read > c.at {
					lost.Store(true)
				}
			}}, w.gate)
			_, told, err := w.deliverOn(t.Context(), asked, page.Record(), kept{page, lost})
			wantFault(t, err, fault.Superseded, "lease_lost", "")
			w.took(c.uploads, 0)
			if told.left != 0 || read > c.at+200_000 {
				t.Errorf("%d messages left whole, %d bytes were read", told.left, read)
			}
		})
	}
}

// readsOf counts the bytes that are read from a source.
type readsOf struct {
	pipeline.Source
	each func(n int)
}

func (s readsOf) Open(ctx context.Context, f schemas.File, pin *job.Pin) (*pipeline.Object, error) {
	object, err := s.Source.Open(ctx, f, pin)
	if err == nil {
		object.Body = &counted{object.Body, s.each}
	}
	return object, err
}

type counted struct {
	io.ReadCloser
	each func(n int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.each(n)
	return n, err
}

// faulty is a store that fails where told, and else writes to the ledger.
type faulty struct {
	pipeline.RecordStore
	fails func(r job.Record) error
}

func (f *faulty) Save(ctx context.Context, r job.Record) error {
	if err := f.fails(r); err != nil {
		return err
	}
	return f.RecordStore.Save(ctx, r)
}

// TestTheReceiptIsInsistedOn: what Redox has taken is written down, however
// often the ledger fails, until another worker owns the job or this one stops.
func TestTheReceiptIsInsistedOn(t *testing.T) {
	away := &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "away"}
	for _, c := range []struct {
		name string
		fail func(n int, stop func()) error
		err  string
		asks int
	}{
		{"comes back", func(n int, _ func()) error {
			if n <= 5 {
				return away
			}
			return nil
		}, "", 6},
		{"never comes back", func(int, func()) error { return away }, "away", 20},
		{"superseded", func(int, func()) error { return &fault.Fault{Kind: fault.Superseded, Code: "superseded"} }, "superseded", 1},
		{"stopped", func(n int, stop func()) error {
			if n == 2 {
				stop()
			}
			return away
		}, "away", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			asked := jobOf(schemas.Embed, w.put("a.txt", document(100, "a")))
			page, _, err := w.ledger.Open(t.Context(), asked.Key(), job.Record{Phase: job.Working, Attempt: 1})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asks := 0
			_, _, err = w.deliverOn(ctx, asked, page.Record(), &faulty{kept{Entry: page}, func(r job.Record) error {
				if r.Phase != job.Accepted {
					return nil
				}
				asks++
				return c.fail(asks, cancel)
			}})
			if f := fault.Of(err); (f == nil) != (c.err == "") || f != nil && f.Code != c.err {
				t.Errorf("%v, want %q", err, c.err)
			}
			want := job.Accepted
			if c.err != "" {
				want = job.Sending
			}
			if kept, _ := w.found(); kept.Phase != want || asks != c.asks {
				t.Errorf("the ledger says %s after %d asks, want %s after %d", kept.Phase, asks, want, c.asks)
			}
			w.took(0, 1)
		})
	}
}

// TestStoppedBeforeThePost: a stop that comes with the ledger's write is still in
// time: nothing leaves, and the job is merely interrupted.
func TestStoppedBeforeThePost(t *testing.T) {
	w := newWorld(t)
	asked := jobOf(schemas.Embed, w.put("a.txt", document(100, "a")))
	page, _, err := w.ledger.Open(t.Context(), asked.Key(), job.Record{Phase: job.Working, Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	posts := 0
	w.watch(func(string) { posts++ })
	record, _, err := w.deliverOn(ctx, asked, page.Record(), &faulty{kept{Entry: page}, func(job.Record) error { cancel(); return nil }})
	wantFault(t, err, fault.Interrupted, "interrupted", "")
	if kept, _ := w.found(); kept.Phase != job.Sending || record.Phase != job.Working || posts != 0 {
		t.Errorf("the ledger says %s, the record %s, after %d posts", kept.Phase, record.Phase, posts)
	}
}

// TestStoppedWhileSending: whether the body has left decides between an
// interruption and an outcome that nobody knows.
func TestStoppedWhileSending(t *testing.T) {
	for _, c := range []struct {
		action redoxsim.Action
		size   int
		kind   fault.Kind
		phase  job.Phase
	}{
		// Above 1 MiB the body waits for 100-continue, which never comes.
		{redoxsim.HangBeforeBody, 999_999, fault.Interrupted, job.Working},
		{redoxsim.HangAfterProcessing, 100, fault.UnknownOutcome, job.Sending},
	} {
		t.Run(string(c.action), func(t *testing.T) {
			w := newWorld(t)
			w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: c.action, Times: 1})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			left := c.kind == fault.UnknownOutcome
			go func() {
				_ = w.sim.Await(ctx, func() bool { return w.sim.Faults()[0].Fired == 1 && (!left || len(w.sim.Messages()) == 1) })
				cancel()
			}()
			record, _, err := w.deliver(ctx, jobOf(schemas.Embed, w.put("a.txt", document(c.size, "a"))))
			wantFault(t, err, c.kind, "", "")
			if record.Phase != c.phase {
				t.Errorf("the record says %s, want %s", record.Phase, c.phase)
			}
			w.took(0, map[bool]int{left: 1}[true])
		})
	}
}

// unjudged loses its judgement of a sending that Redox took.
type unjudged struct{ pipeline.Redox }

func (u unjudged) Send(ctx context.Context, l pipeline.MessageRequest) (schemas.Receipt, error) {
	if _, err := u.Redox.Send(ctx, l); err != nil {
		return schemas.Receipt{}, err
	}
	return schemas.Receipt{}, errors.New("nobody judged it")
}

// TestAnErrorNobodyJudged after a sending is no reason to send again.
func TestAnErrorNobodyJudged(t *testing.T) {
	w := newWorld(t)
	w.line = w.through(unjudged{w.gate})
	record, _, err := w.deliver(t.Context(), jobOf(schemas.Embed, w.put("a.txt", document(100, "a"))))
	wantFault(t, err, fault.UnknownOutcome, "internal", "")
	if record.Phase != job.Sending {
		t.Errorf("the record says %s", record.Phase)
	}
	w.took(0, 1)
}

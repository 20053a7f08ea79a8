package ledger

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
)

// deafWorld is a bucket behind a line, and the same bucket seen directly.
func deafWorld(t *testing.T) (*devtest.Line, *Ledger, jetstream.KeyValue) {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	direct := bucketOf(t, "", time.Hour, stack.InProcess())
	l := devtest.NewLine(t, stack.URL())
	return l, New(bucketOf(t, l.URL(), time.Hour), limit), direct
}

// written waits until the bucket holds a record of that phase.
func written(t *testing.T, direct jetstream.KeyValue, id string, phase job.Phase) {
	t.Helper()
	watching := New(direct, limit)
	until(t, "the record is written", func() bool {
		r, ok, err := watching.Find(t.Context(), keyOf(id))
		return err == nil && ok && r.Phase == phase
	})
}

// TestOwnWritesAreKnown: the server takes each write and its answer is lost;
// the next try meets our own record.
func TestOwnWritesAreKnown(t *testing.T) {
	t.Parallel()
	line, l, direct := deafWorld(t)
	line.Deafen(true)
	type opened struct {
		page    *page
		created bool
		err     error
	}
	result := make(chan opened, 1)
	go func() {
		p, created, err := l.Open(t.Context(), keyOf("a"), fresh("me"))
		o := opened{created: created, err: err}
		o.page, _ = p.(*page)
		result <- o
	}()
	written(t, direct, "a", job.Working)
	line.Deafen(false)
	o := <-result
	if o.err != nil || !o.created {
		t.Fatalf("created %v, %v; the record is our own", o.created, o.err)
	}

	for _, phase := range []job.Phase{job.Sending, job.Accepted} {
		r := o.page.Record()
		r.Phase = phase
		line.Deafen(true)
		saved := make(chan error, 1)
		go func() { saved <- o.page.Save(t.Context(), r) }()
		written(t, direct, "a", phase)
		line.Deafen(false)
		if err := <-saved; err != nil {
			t.Fatalf("saving %s: %v", phase, err)
		}
		if !reflect.DeepEqual(o.page.Record(), r) {
			t.Errorf("the page holds %+v", o.page.Record())
		}
	}
	entry, err := direct.Get(t.Context(), keyOf("a").Tokens())
	if err != nil || entry.Revision() != o.page.revision {
		t.Errorf("revision %d, the bucket has %d, %v", o.page.revision, entry.Revision(), err)
	}
}

// TestALostAnswerIsNoVictory: our write is lost with its answer, and before we
// try again another worker has taken the job.
func TestALostAnswerIsNoVictory(t *testing.T) {
	t.Parallel()
	line, l, direct := deafWorld(t)
	mine := open(t, l, "a", fresh("me"), true)
	line.Deafen(true)
	r := mine.Record()
	r.Phase = job.Sending
	saved := make(chan error, 1)
	go func() { saved <- mine.Save(t.Context(), r) }()
	written(t, direct, "a", job.Sending)
	theirs := open(t, New(direct, limit), "a", fresh("other"), false)
	taken := theirs.Record()
	taken.Owner = "other"
	if err := theirs.Save(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	line.Deafen(false)
	wantFault(t, <-saved, fault.Superseded, fault.Job, "superseded")
}

// TestSomebodyElsesRecordIsNotOurs: the answer to the making is lost because
// somebody else made it.
func TestSomebodyElsesRecordIsNotOurs(t *testing.T) {
	t.Parallel()
	line, l, direct := deafWorld(t)
	open(t, New(direct, limit), "a", fresh("other"), true)
	line.Deafen(true)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	result := make(chan bool, 1)
	go func() {
		p, created, err := l.Open(ctx, keyOf("a"), fresh("me"))
		if err != nil || p.Record().Owner != "other" {
			t.Errorf("%v", err)
		}
		result <- created
	}()
	line.Deafen(false)
	if <-result {
		t.Error("another's record was taken for our own")
	}
}

// TestUnavailable: whatever fails while the bucket is away is a fault of the
// ledger, within patience.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	bucket := bucketOf(t, server.URL(), time.Hour)
	p := open(t, New(bucket, limit), "a", fresh("w"), true)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	const patience = 700 * time.Millisecond
	hasty := New(bucket, patience)
	hastyPage := &page{ledger: hasty, key: keyOf("a").Tokens(), record: p.record, revision: p.revision}
	for name, call := range map[string]func(context.Context) error{
		"open": func(ctx context.Context) error { _, _, err := hasty.Open(ctx, keyOf("b"), fresh("w")); return err },
		"find": func(ctx context.Context) error { _, _, err := hasty.Find(ctx, keyOf("a")); return err },
		"save": func(ctx context.Context) error { return hastyPage.Save(ctx, fresh("w")) },
	} {
		started := time.Now()
		err := call(t.Context())
		took := time.Since(started)
		wantFault(t, err, fault.Retryable, fault.Ledger, "ledger_unavailable")
		if took < patience || took > patience+time.Minute {
			t.Errorf("%s took %s, patience is %s", name, took, patience)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		err = call(ended)
		wantFault(t, err, fault.Retryable, fault.Ledger, "ledger_unavailable")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the cause is not the end of the context", name)
		}
	}
	// And with patience enough it outlives the outage.
	saved := make(chan error, 1)
	r := p.Record()
	r.Phase = job.Accepted
	go func() { saved <- p.Save(t.Context(), r) }()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; err != nil {
		t.Error(err)
	}
	if found, ok, err := New(bucket, limit).Find(t.Context(), keyOf("a")); err != nil || !ok || found.Phase != job.Accepted {
		t.Errorf("%+v %v %v", found, ok, err)
	}
}

package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// deliveryOf is a delivery of files of these sizes, surveyed.
func deliveryOf(transfer schemas.Transfer, noEmbed bool, sizes ...int64) *delivery {
	d := &delivery{
		line: &Pipeline{settings: Settings{EmbedLimit: 100, FileLimit: 1000}},
		job:  schemas.Job{Transfer: transfer}, record: &job.Record{NoEmbed: noEmbed},
	}
	for _, size := range sizes {
		d.record.Files = append(d.record.Files, job.FileRecord{Pin: &job.Pin{Size: size}})
	}
	return d
}

func TestTransferOf(t *testing.T) {
	for _, c := range []struct {
		name     string
		transfer schemas.Transfer
		noEmbed  bool
		sizes    []int64
		want     schemas.Transfer
		// instead: a message that is too large may be made smaller.
		instead bool
	}{
		{"auto, at the limit", schemas.Auto, false, []int64{100}, schemas.Embed, true},
		{"auto, over it", schemas.Auto, false, []int64{101}, schemas.Upload, false},
		{"auto, the sum at the limit", schemas.Auto, false, []int64{60, 40}, schemas.Embed, true},
		{"auto, the sum over it", schemas.Auto, false, []int64{60, 41}, schemas.Upload, false},
		{"auto, found too large before", schemas.Auto, true, []int64{1}, schemas.Upload, false},
		{"none is auto", "", false, []int64{100}, schemas.Embed, true},
		{"embed, whatever the size", schemas.Embed, false, []int64{1000, 1000}, schemas.Embed, false},
		{"upload, whatever the size", schemas.Upload, false, []int64{1}, schemas.Upload, false},
	} {
		d := deliveryOf(c.transfer, c.noEmbed, c.sizes...)
		if got := d.transferOf(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := d.mayUploadInstead(); got != c.instead {
			t.Errorf("%s: may upload instead: %t, want %t", c.name, got, c.instead)
		}
	}
}

func TestTitleOf(t *testing.T) {
	for _, c := range []struct{ title, key, want string }{
		{"", "2026/11/a.pdf", "a.pdf"}, {"b.pdf", "2026/11/a.pdf", "b.pdf"}, {"", "a.pdf", "a.pdf"}, {"", "folder/", "folder"},
	} {
		if got := titleOf(schemas.File{Key: c.key, Title: c.title}); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.title, c.key, got, c.want)
		}
	}
}

func TestAdmitSizes(t *testing.T) {
	for size, code := range map[int64]string{0: "file_empty", 1: "", 1000: "", 1001: "file_too_large"} {
		err := deliveryOf("", false).admit(4, size)
		if code == "" && err == nil {
			continue
		}
		if f := fault.Of(err); f == nil || f.Code != code || f.Kind != fault.Permanent || f.Path != "/files/4" {
			t.Errorf("%d bytes: %v, want %q at /files/4", size, err, code)
		}
	}
}

// TestInterrupted: only a passing fault of the world may be the end of this
// process in disguise.
func TestInterrupted(t *testing.T) {
	live := t.Context()
	over, cancel := context.WithCancel(live)
	cancel()
	for _, c := range []struct {
		kind  fault.Kind
		scope fault.Scope
		want  fault.Kind
	}{
		{fault.Retryable, fault.Store, fault.Interrupted},
		{fault.Retryable, fault.Destination, fault.Interrupted},
		{fault.Retryable, fault.Ledger, fault.Retryable},
		{fault.UnknownOutcome, fault.Destination, fault.UnknownOutcome},
		{fault.Permanent, fault.Job, fault.Permanent},
		{fault.Superseded, fault.Job, fault.Superseded},
		{fault.Interrupted, fault.Job, fault.Interrupted},
	} {
		f := &fault.Fault{Kind: c.kind, Scope: c.scope, Code: "x"}
		if got := interrupted(live, f); got != error(f) {
			t.Errorf("%s %s became %v although nobody stops", c.kind, c.scope, got)
		}
		if got := fault.Of(interrupted(over, f)); got.Kind != c.want {
			t.Errorf("%s %s became %s, want %s", c.kind, c.scope, got.Kind, c.want)
		}
	}
	if got := fault.Of(interrupted(over, errors.New("unjudged"))); got.Kind != fault.Interrupted {
		t.Errorf("an error nobody judged became %s", got.Kind)
	}
}

// TestUnjudgedSending: an error of a sending that nobody judged leaves the
// outcome open.
func TestUnjudgedSending(t *testing.T) {
	if asFault(nil) != nil {
		t.Error("success became a fault")
	}
	f := passing()
	if asFault(f) != error(f) {
		t.Error("a judgement was changed")
	}
	if got := fault.Of(asFault(io.ErrUnexpectedEOF)); got.Kind != fault.UnknownOutcome {
		t.Errorf("an error nobody judged became %s", got.Kind)
	}
}

// standing is a body that yields nothing until it is closed.
type standing struct {
	once   sync.Once
	closed chan struct{}
}

func (s *standing) Read([]byte) (int, error) { <-s.closed; return 0, io.ErrClosedPipe }
func (s *standing) Close() error             { s.once.Do(func() { close(s.closed) }); return nil }

// TestTheKeptBodyEndsWithItsReading: the body kept from the survey was opened
// for the whole job, and a Read of it ends when the try that reads it does.
func TestTheKeptBodyEndsWithItsReading(t *testing.T) {
	d := deliveryOf(schemas.Upload, false, 10)
	d.job.Files = []schemas.File{{}}
	d.opened = &Object{Pin: job.Pin{Size: 10}, Body: &standing{closed: make(chan struct{})}}
	ctx, cancel := context.WithCancel(t.Context())
	body, err := d.open(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := body.Read(make([]byte, 1)); ended <- err }()
	cancel()
	if err := <-ended; err == nil {
		t.Error("the read ended without an error")
	}
	if d.opened != nil {
		t.Error("the body would be read twice")
	}
	body.Close()
}

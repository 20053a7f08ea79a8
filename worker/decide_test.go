package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
)

var (
	noon     = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	patience = Patience{OnUnknown: Resend, First: 30 * time.Second, Longest: time.Hour}
)

func TestDecide(t *testing.T) {
	hold, sparing := patience, patience
	hold.OnUnknown, sparing.Spare = Hold, 2
	far, near, past := noon.Add(72*time.Hour), noon.Add(20*time.Second), noon.Add(-time.Second)
	for _, c := range []struct {
		name      string
		f         fault.Fault
		attempt   int
		deadline  time.Time
		p         Patience
		doubts    int
		spared    int
		probe     bool
		suspect   string
		confirmed bool
		jitter    float64

		phase     job.Phase
		code      string
		in, pause time.Duration
		duplicate bool
	}{
		{name: "permanent", f: fault.Fault{Kind: fault.Permanent, Code: "file_missing"}, deadline: far, phase: job.Failed, code: "file_missing"},
		{name: "poison", f: fault.Fault{Kind: fault.Poison, Code: "job_type"}, deadline: far, phase: job.Failed, code: "job_type"},
		{name: "poison has no deadline", f: fault.Fault{Kind: fault.Poison, Code: "job_type"}, deadline: time.Time{}, phase: job.Failed, code: "job_type"},
		{name: "interrupted goes back", f: fault.Fault{Kind: fault.Interrupted, Code: "interrupted"}, deadline: far, phase: job.Working, code: "interrupted"},
		{name: "interrupted goes back even when late", f: fault.Fault{Kind: fault.Interrupted, Code: "interrupted"}, deadline: past, phase: job.Working, code: "interrupted"},

		{name: "first wait, least", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 1, deadline: far, phase: job.Waiting, code: "x", in: 15 * time.Second},
		{name: "first wait, most", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 1, deadline: far, jitter: 1, phase: job.Waiting, code: "x", in: 30 * time.Second},
		{name: "third wait", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 3, deadline: far, jitter: 1, phase: job.Waiting, code: "x", in: 2 * time.Minute},
		{name: "longest wait", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 99, deadline: far, jitter: 1, phase: job.Waiting, code: "x", in: time.Hour},
		{name: "the server's wish", f: fault.Fault{Kind: fault.Retryable, Code: "x", RetryAfter: 5 * time.Minute}, attempt: 1, deadline: far, phase: job.Waiting, code: "x", in: 5 * time.Minute},
		{name: "a last try before the deadline", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: near, phase: job.Waiting, code: "x", in: 12500 * time.Millisecond},
		{name: "none after the last try", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 6, deadline: noon.Add(7500 * time.Millisecond), phase: job.Failed, code: "expired"},
		{name: "no time left", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: noon.Add(14 * time.Second), phase: job.Failed, code: "expired"},
		{name: "too late", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: past, phase: job.Failed, code: "expired"},

		{name: "everybody's fault is not the job's", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 3, deadline: far, p: sparing, phase: job.Working, code: "d", pause: time.Second},
		{name: "nor is it the second time", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, deadline: far, spared: 1, jitter: 0.5, p: sparing, phase: job.Working, code: "d", pause: 1500 * time.Millisecond},
		{name: "spared often enough", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 1, spared: 2, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "a destination's may be the job's own, which makes room", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "so may a store's", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Store, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "what a probe is to find out about does not end it", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "d", deadline: far, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "except at its deadline", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "d", deadline: noon.Add(time.Second), phase: job.Failed, code: "d"},
		{name: "anything else does", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "e", deadline: far, phase: job.Failed, code: "d"},
		{name: "what may be the worker's own is not believed of one", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true}, attempt: 1, deadline: far, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "but of two", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true}, attempt: 2, confirmed: true, deadline: far, phase: job.Failed, code: "d"},
		{name: "and of a refusal of Redox", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true, Refused: true}, attempt: 1, deadline: far, phase: job.Failed, code: "d"},
		{name: "a probe makes room", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 1, probe: true, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "a refusal of what was too much costs no attempt", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: pipeline.CodeRateLimited, RetryAfter: time.Minute}, attempt: 1, spared: 99, probe: true, deadline: far, p: sparing, phase: job.Working, code: pipeline.CodeRateLimited, pause: time.Second},
		{name: "nor does one of our own budget", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: pipeline.CodeThrottled}, attempt: 1, spared: 99, probe: true, deadline: far, p: sparing, phase: job.Working, code: pipeline.CodeThrottled, pause: time.Second},
		{name: "but it ends at the deadline", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: pipeline.CodeRateLimited}, attempt: 1, deadline: past, p: sparing, phase: job.Failed, code: "expired"},
		{name: "the job's own fault", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second},
		{name: "what may have been taken is not spared", f: fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: job.Waiting, code: "d", in: 15 * time.Second, duplicate: true},
		{name: "not spared beyond the deadline", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: past, p: sparing, phase: job.Failed, code: "expired"},

		{name: "unknown, resend", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: far, phase: job.Waiting, code: "u", in: 15 * time.Second, duplicate: true},
		{name: "unknown for the third time, resend", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, doubts: 3, deadline: far, phase: job.Waiting, code: "u", in: 15 * time.Second, duplicate: true},
		{name: "unknown once too often", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, doubts: 4, deadline: far, phase: job.Held, code: "u"},
		{name: "unknown, hold", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: far, p: hold, phase: job.Held, code: "u"},
		{name: "unknown, but acknowledged", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u", Acknowledged: true}, attempt: 1, deadline: far, phase: job.Held, code: "u"},
		{name: "unknown and late stays unknown", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: past, phase: job.Held, code: "u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.p
			if p == (Patience{}) {
				p = patience
			}
			got := decide(&c.f, trial{attempt: c.attempt, doubts: c.doubts, spared: c.spared, probe: c.probe, suspect: c.suspect, confirmed: c.confirmed}, c.deadline, noon, p, c.jitter)
			if got.phase != c.phase || got.reason.Code != c.code || got.possibleDuplicate != c.duplicate {
				t.Errorf("got %s %s duplicate=%t, want %s %s duplicate=%t", got.phase, got.reason.Code, got.possibleDuplicate, c.phase, c.code, c.duplicate)
			}
			if got.pause != c.pause || got.spared != (c.pause > 0) {
				t.Errorf("spared %t with a pause of %s, want %s", got.spared, got.pause, c.pause)
			}
			if c.in > 0 && !got.at.Equal(noon.Add(c.in)) {
				t.Errorf("comes back in %s, want %s", got.at.Sub(noon), c.in)
			}
			if c.in == 0 && !got.at.IsZero() {
				t.Errorf("comes back at %s, want never", got.at)
			}
		})
	}
}

// TestDecideAlwaysEnds: whatever the fault, a job that keeps failing reaches an
// end, and never schedules anything after its deadline.
func TestDecideAlwaysEnds(t *testing.T) {
	deadline := noon.Add(72 * time.Hour)
	for _, kind := range []fault.Kind{fault.Retryable, fault.UnknownOutcome} {
		for _, jitter := range []float64{0, 0.5, 0.999} {
			t.Run(fmt.Sprintf("%s/%g", kind, jitter), func(t *testing.T) {
				now := noon
				for attempt := 1; ; attempt++ {
					out := decide(&fault.Fault{Kind: kind, Code: "x"}, trial{attempt: attempt, doubts: 1}, deadline, now, patience, jitter)
					if out.phase != job.Waiting {
						if attempt < 50 {
							t.Errorf("ended as %s after only %d attempts", out.phase, attempt)
						}
						return
					}
					if out.at.After(deadline) || !out.at.After(now) {
						t.Fatalf("attempt %d: next at %s, now %s, deadline %s", attempt, out.at, now, deadline)
					}
					now = out.at
				}
			})
		}
	}
}

// TestNobodySaysItWasNotSent of a job of which an earlier sending may have been
// taken, and of no other end.
func TestNobodySaysItWasNotSent(t *testing.T) {
	gone := &fault.Fault{Kind: fault.Permanent, Code: "file_missing", Path: "/files/0", Text: "it was not sent"}
	out := undecided(decide(gone, trial{attempt: 2, doubts: 1}, noon.Add(time.Hour), noon, patience, 0))
	if out.phase != job.Held || out.reason.Kind != string(fault.UnknownOutcome) || out.reason.Code != "file_missing" || out.reason.Path != "/files/0" {
		t.Errorf("got %s %+v", out.phase, out.reason)
	}
	if strings.Contains(out.reason.Text, "not sent") || !strings.Contains(out.reason.Text, "file_missing") {
		t.Errorf("it says %q", out.reason.Text)
	}
	for _, f := range []*fault.Fault{{Kind: fault.Retryable, Code: "x"}, {Kind: fault.UnknownOutcome, Code: "x"}, {Kind: fault.Interrupted, Code: "x"}} {
		before := decide(f, trial{attempt: 2, doubts: 1}, noon.Add(time.Hour), noon, patience, 0)
		if after := undecided(before); after != before {
			t.Errorf("%s became %+v", f.Kind, after)
		}
	}
}

// BenchmarkDecide decides over a fault that ends a job and two that make it wait.
func BenchmarkDecide(b *testing.B) {
	for _, kind := range []fault.Kind{fault.Permanent, fault.Retryable, fault.UnknownOutcome} {
		b.Run(string(kind), func(b *testing.B) {
			f, deadline := &fault.Fault{Kind: kind, Scope: fault.Destination, Code: "x"}, noon.Add(72*time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				decide(f, trial{attempt: 3, doubts: 1}, deadline, noon, patience, 0.5)
			}
		})
	}
}

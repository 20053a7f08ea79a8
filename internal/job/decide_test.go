package job

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

var (
	noon   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	policy = Policy{OnUnknown: ResendUnknown, First: 30 * time.Second, Longest: time.Hour}
)

func TestDecide(t *testing.T) {
	hold, sparing := policy, policy
	hold.OnUnknown, sparing.Deferrals = HoldUnknown, 2
	far, near, past := noon.Add(72*time.Hour), noon.Add(20*time.Second), noon.Add(-time.Second)
	for _, c := range []struct {
		name      string
		f         fault.Fault
		attempt   int
		deadline  time.Time
		p         Policy
		doubts    int
		spared    int
		probe     bool
		suspect   string
		confirmed bool
		jitter    float64

		phase     Phase
		code      string
		in, pause time.Duration
		duplicate bool
	}{
		{name: "permanent", f: fault.Fault{Kind: fault.Permanent, Code: "file_missing"}, deadline: far, phase: Failed, code: "file_missing"},
		{name: "poison", f: fault.Fault{Kind: fault.Poison, Code: "job_type"}, deadline: far, phase: Failed, code: "job_type"},
		{name: "poison has no deadline", f: fault.Fault{Kind: fault.Poison, Code: "job_type"}, deadline: time.Time{}, phase: Failed, code: "job_type"},
		{name: "interrupted goes back", f: fault.Fault{Kind: fault.Interrupted, Code: "interrupted"}, deadline: far, phase: Working, code: "interrupted"},
		{name: "interrupted goes back even when late", f: fault.Fault{Kind: fault.Interrupted, Code: "interrupted"}, deadline: past, phase: Working, code: "interrupted"},

		{name: "first wait, least", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 1, deadline: far, phase: Waiting, code: "x", in: 15 * time.Second},
		{name: "first wait, most", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 1, deadline: far, jitter: 1, phase: Waiting, code: "x", in: 30 * time.Second},
		{name: "third wait", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 3, deadline: far, jitter: 1, phase: Waiting, code: "x", in: 2 * time.Minute},
		{name: "longest wait", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 99, deadline: far, jitter: 1, phase: Waiting, code: "x", in: time.Hour},
		{name: "the server's wish", f: fault.Fault{Kind: fault.Retryable, Code: "x", RetryAfter: 5 * time.Minute}, attempt: 1, deadline: far, phase: Waiting, code: "x", in: 5 * time.Minute},
		{name: "a last try before the deadline", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: near, phase: Waiting, code: "x", in: 12500 * time.Millisecond},
		{name: "none after the last try", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 6, deadline: noon.Add(7500 * time.Millisecond), phase: Failed, code: "expired"},
		{name: "no time left", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: noon.Add(14 * time.Second), phase: Failed, code: "expired"},
		{name: "too late", f: fault.Fault{Kind: fault.Retryable, Code: "x"}, attempt: 5, deadline: past, phase: Failed, code: "expired"},

		{name: "everybody's fault is not the job's", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 3, deadline: far, p: sparing, phase: Working, code: "d", pause: time.Second},
		{name: "nor is it the second time", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, deadline: far, spared: 1, jitter: 0.5, p: sparing, phase: Working, code: "d", pause: 1500 * time.Millisecond},
		{name: "spared often enough", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 1, spared: 2, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "a destination's may be the job's own, which makes room", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "so may a store's", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Store, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "what a probe is to find out about does not end it", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "d", deadline: far, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "except at its deadline", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "d", deadline: noon.Add(time.Second), phase: Failed, code: "d"},
		{name: "anything else does", f: fault.Fault{Kind: fault.Permanent, Code: "d", Refused: true}, attempt: 1, probe: true, suspect: "e", deadline: far, phase: Failed, code: "d"},
		{name: "what may be the worker's own is not believed of one", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true}, attempt: 1, deadline: far, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "but of two", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true}, attempt: 2, confirmed: true, deadline: far, phase: Failed, code: "d"},
		{name: "and of a refusal of Redox", f: fault.Fault{Kind: fault.Permanent, Code: "d", Own: true, Refused: true}, attempt: 1, deadline: far, phase: Failed, code: "d"},
		{name: "a probe makes room", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "d"}, attempt: 1, probe: true, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "a refusal of what was too much costs no attempt", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: fault.CodeRateLimited, RetryAfter: time.Minute}, attempt: 1, spared: 99, probe: true, deadline: far, p: sparing, phase: Working, code: fault.CodeRateLimited, pause: time.Second},
		{name: "nor does one of our own budget", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: fault.CodeThrottled}, attempt: 1, spared: 99, probe: true, deadline: far, p: sparing, phase: Working, code: fault.CodeThrottled, pause: time.Second},
		{name: "but it ends at the deadline", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: fault.CodeRateLimited}, attempt: 1, deadline: past, p: sparing, phase: Failed, code: "expired"},
		{name: "the job's own fault", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second},
		{name: "what may have been taken is not spared", f: fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: far, p: sparing, phase: Waiting, code: "d", in: 15 * time.Second, duplicate: true},
		{name: "not spared beyond the deadline", f: fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "d"}, attempt: 1, deadline: past, p: sparing, phase: Failed, code: "expired"},

		{name: "unknown, resend", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: far, phase: Waiting, code: "u", in: 15 * time.Second, duplicate: true},
		{name: "unknown for the third time, resend", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, doubts: 3, deadline: far, phase: Waiting, code: "u", in: 15 * time.Second, duplicate: true},
		{name: "unknown once too often", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, doubts: 4, deadline: far, phase: Held, code: "u"},
		{name: "unknown, hold", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: far, p: hold, phase: Held, code: "u"},
		{name: "unknown, but acknowledged", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u", Acknowledged: true}, attempt: 1, deadline: far, phase: Held, code: "u"},
		{name: "unknown and late stays unknown", f: fault.Fault{Kind: fault.UnknownOutcome, Code: "u"}, attempt: 1, deadline: past, phase: Held, code: "u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.p
			if p == (Policy{}) {
				p = policy
			}
			got := outcomeOf(Decide(Situation{
				Fault: &c.f, Attempt: c.attempt, UnknownSends: c.doubts, Deferrals: c.spared, Probe: c.probe, Suspect: c.suspect, Confirmed: c.confirmed,
				Stopping: c.f.Kind == fault.Interrupted, Deadline: c.deadline, Jitter: c.jitter,
			}, noon, p))
			if got.phase != c.phase || got.code != "" && got.code != c.code || got.mayRepeat != c.duplicate {
				t.Errorf("got %+v, want %s %s duplicate=%t", got, c.phase, c.code, c.duplicate)
			}
			if got.pause != c.pause {
				t.Errorf("deferred for %s, want %s", got.pause, c.pause)
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

// summary is an outcome with its members side by side.
type summary struct {
	phase     Phase
	code      string
	reason    schemas.Reason
	at        time.Time
	pause     time.Duration
	mayRepeat bool
}

func outcomeOf(o Outcome) summary {
	of := func(phase Phase, reason schemas.Reason) summary {
		return summary{phase: phase, code: reason.Code, reason: reason}
	}
	switch o := o.(type) {
	case GiveBack:
		return summary{phase: Working}
	case Defer:
		return summary{phase: Working, pause: o.After}
	case RetryAt:
		s := of(Waiting, o.Reason)
		s.at, s.mayRepeat = o.At, o.MayRepeat
		return s
	case PutOff:
		s := of(Waiting, o.Reason)
		s.at = o.At
		return s
	case Fail:
		return of(Failed, o.Reason)
	case Hold:
		return of(Held, o.Reason)
	case Cancel:
		return of(Cancelled, o.Reason)
	}
	return summary{}
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
					out := outcomeOf(Decide(Situation{Fault: &fault.Fault{Kind: kind, Code: "x"}, Attempt: attempt, UnknownSends: 1, Deadline: deadline, Jitter: jitter}, now, policy))
					if out.phase != Waiting {
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

// TestWhatMayBeThereIsNotCalledUnsent: of a job of which an earlier sending may have
// been taken, and of no other end.
func TestWhatMayBeThereIsNotCalledUnsent(t *testing.T) {
	gone := &fault.Fault{Kind: fault.Permanent, Code: "file_missing", Path: "/files/0", Text: "it was not sent"}
	s := Situation{Fault: gone, Attempt: 2, UnknownSends: 1, MayBeThere: true, Deadline: noon.Add(time.Hour)}
	out := outcomeOf(Decide(s, noon, policy))
	if out.phase != Held || out.reason.Kind != string(fault.UnknownOutcome) || out.reason.Code != "file_missing" || out.reason.Path != "/files/0" {
		t.Errorf("got %+v", out)
	}
	if strings.Contains(out.reason.Text, "not sent") || !strings.Contains(out.reason.Text, "file_missing") {
		t.Errorf("it says %q", out.reason.Text)
	}
	for _, f := range []*fault.Fault{{Kind: fault.Retryable, Code: "x"}, {Kind: fault.UnknownOutcome, Code: "x"}, {Kind: fault.Interrupted, Code: "x"}} {
		s.Fault, s.MayBeThere = f, false
		before := Decide(s, noon, policy)
		s.MayBeThere = true
		if after := Decide(s, noon, policy); after != before {
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
				Decide(Situation{Fault: f, Attempt: 3, UnknownSends: 1, Deadline: deadline, Jitter: 0.5}, noon, policy)
			}
		})
	}
}

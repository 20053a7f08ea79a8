package job

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

// faults are every kind and scope of fault, with each code and mark that a decision
// looks at.
func faults() []*fault.Fault {
	var all []*fault.Fault
	for _, kind := range []fault.Kind{fault.Retryable, fault.Permanent, fault.Poison, fault.UnknownOutcome, fault.Interrupted, fault.Superseded} {
		for _, scope := range []fault.Scope{fault.Job, fault.Destination, fault.Redox, fault.Uploads, fault.Store, fault.Ledger} {
			for _, code := range []string{"x", "suspect", fault.CodeRateLimited, fault.CodeThrottled, CodePredecessorOpen, CodeRunCancelled} {
				for marks := range 8 {
					all = append(all, &fault.Fault{Kind: kind, Scope: scope, Code: code,
						Own: marks&1 > 0, Refused: marks&2 > 0, Acknowledged: marks&4 > 0, RetryAfter: time.Duration(marks) * time.Minute})
				}
			}
		}
	}
	return all
}

// situations calls each with every Situation that differs from others in a way that
// may bear on the decision.
func situations(each func(Situation)) (total int) {
	bit := func(n, i int) bool { return n&(1<<i) > 0 }
	for _, f := range faults() {
		for flags := range 1 << 8 {
			for _, left := range []time.Duration{-time.Hour, time.Second, time.Hour} {
				s := Situation{
					Fault: f, Attempt: 2, Probe: bit(flags, 0), Confirmed: bit(flags, 1), Stopping: bit(flags, 2), MayBeThere: bit(flags, 3) || f.Kind == fault.UnknownOutcome,
					Run: Run{Cancelled: bit(flags, 4)}, Deadline: noon.Add(left), Jitter: 0.5,
				}
				if bit(flags, 5) {
					s.Run = Run{Unknown: &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "queue_unavailable"}}
				}
				if bit(flags, 6) {
					s.Suspect = "suspect"
				}
				if bit(flags, 7) {
					s.UnknownSends, s.Deferrals = mostUnknownSends+1, policy.Deferrals+1
				}
				total++
				each(s)
			}
		}
	}
	return total
}

// TestEverySituationHasAnOutcome, one that makes sense and that the table of phases
// allows, under every policy.
func TestEverySituationHasAnOutcome(t *testing.T) {
	hold, deferring := policy, policy
	hold.OnUnknown, deferring.Deferrals = HoldUnknown, 2
	for _, p := range []Policy{policy, hold, deferring} {
		wrong := 0
		total := situations(func(s Situation) {
			out := Decide(s, noon, p)
			if problem := nonsense(s, out); problem != "" && wrong < 10 {
				wrong++
				t.Errorf("%+v\nmet %+v\nbecame %T %+v: %s", s, s.Fault, out, out, problem)
			}
		})
		if total < 1_000_000 {
			t.Errorf("only %d situations", total)
		}
	}
}

// nonsense says what is wrong with an outcome; empty is nothing.
func nonsense(s Situation, out Outcome) string {
	switch o := out.(type) {
	case StepBack:
		if s.Fault.Kind != fault.Superseded {
			return "the job is this worker's"
		}
	case RedeliverLater:
		if o.Because == nil || (o.After == 0) != s.Stopping {
			return "it has no reason, or the wrong pause"
		}
	case GiveBack:
		if !s.Stopping || s.Run.Cancelled {
			return "it would go round"
		}
	case Defer:
		if o.After <= 0 || s.Run.Cancelled {
			return "it would go round"
		}
	case RetryAt:
		switch {
		case !o.At.After(noon) || o.At.After(s.Deadline):
			return "its next attempt is not before its deadline"
		case o.MayRepeat != (s.Fault.Kind == fault.UnknownOutcome):
			return "a second sending is not announced, or one that is none"
		case s.Fault.Acknowledged && o.MayRepeat:
			return "what was answered with 2xx would be sent again"
		case s.Run.Cancelled:
			return "its run is cancelled"
		}
	case PutOff:
		if !o.At.After(noon) && s.Fault.RetryAfter > 0 || s.Run.Cancelled {
			return "it would go round"
		}
	case Fail:
		if s.MayBeThere {
			return "Redox may have its message"
		}
	case Hold:
		if !s.MayBeThere {
			return "Redox does not have its message"
		}
	case Cancel:
		if s.MayBeThere || !s.Run.Cancelled {
			return "Redox may have its message, or no operator has cancelled it"
		}
	default:
		return "that is no outcome"
	}
	return ""
}

// TestOutcomesAreWritten: the record says after each Situation what its outcome says,
// and no outcome asks for a move that the table of phases does not have.
func TestOutcomesAreWritten(t *testing.T) {
	situations(func(s Situation) {
		r := Record{Phase: Working, Attempt: 2, Predecessor: &Predecessor{}}
		if s.Fault.Kind == fault.UnknownOutcome {
			r.Phase = Sending
		}
		before, out := r.Phase, Decide(s, noon, policy)
		want := outcomeOf(out)
		if changed := r.Apply(out); changed != (want.phase != none) {
			t.Fatalf("%T: changed %t", out, changed)
		}
		if want.phase == none {
			want.phase = before
		}
		if r.Phase != want.phase || !r.NextAttemptAt.Equal(want.at) || r.PossibleDuplicate != want.mayRepeat || r.Released != isBack(out) {
			t.Fatalf("%T %+v: the record says %+v", out, out, r)
		}
		if (r.Reason != nil) != (want.reason.Code != "") || r.Reason != nil && *r.Reason != want.reason {
			t.Fatalf("%T %+v: the reason is %+v", out, out, r.Reason)
		}
	})
}

func isBack(o Outcome) bool {
	switch o.(type) {
	case GiveBack, Defer:
		return true
	}
	return false
}

// TestOnlyTheTablesMoves are made: whatever else is a defect, and changes nothing.
func TestOnlyTheTablesMoves(t *testing.T) {
	phases := []Phase{none, Working, Sending, Waiting, Accepted, Failed, Held, Cancelled}
	for _, from := range phases {
		for _, to := range phases {
			listed := false
			for _, m := range moves() {
				listed = listed || m.from == from && m.to == to
			}
			r := Record{Phase: from}
			panicked := fmt.Sprint(func() (value any) { defer func() { value = recover() }(); r.move(to); return nil }())
			if moved := panicked == "<nil>"; moved != listed || moved != (r.Phase == to) && from != to {
				t.Errorf("%q to %q: listed %t, %s, now %q", from, to, listed, panicked, r.Phase)
			}
		}
	}
	if r := (Record{Phase: Accepted}); r.Phase.Final() {
		for _, m := range moves() {
			if m.from == Accepted {
				t.Errorf("an accepted job goes on to %q", m.to)
			}
		}
	}
}

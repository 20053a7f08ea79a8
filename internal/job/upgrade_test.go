package job

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

// inFlight are records as the first version wrote them, one for each phase and way in
// which a job can be in flight or have ended.
func inFlight() map[string]string {
	const head = `{"version":1,"sequence":7,"stored":"2026-11-20T10:00:00Z","digest":"d","owner":"w","updated_at":"2026-11-20T10:30:00Z",`
	const reason = `"reason":{"kind":"retryable","code":"c","text":"t"}`
	return map[string]string{
		"taken":        head + `"phase":"working","attempt":1}`,
		"deferred":     head + `"phase":"working","attempt":2,"spared":3,"released":true}`,
		"abandoned":    head + `"phase":"working","attempt":2,"abandoned":11}`,
		"sending":      head + `"phase":"sending","attempt":2}`,
		"sent before":  head + `"phase":"sending","attempt":3,"doubts":3,"possible_duplicate":true}`,
		"waiting":      head + `"phase":"waiting","attempt":2,"next_attempt_at":"2026-11-20T11:00:00Z",` + reason + `}`,
		"put off":      head + `"phase":"waiting","attempt":0,"predecessor":{"id":"a","waits":1},"next_attempt_at":"2026-11-20T11:00:00Z","reason":{"kind":"retryable","code":"predecessor_open","text":"t","path":"/after"}}`,
		"may be there": head + `"phase":"waiting","attempt":2,"doubts":1,"possible_duplicate":true,"next_attempt_at":"2026-11-20T11:00:00Z",` + reason + `}`,
		"accepted":     head + `"phase":"accepted","attempt":1,"receipt":{"accepted_at":"2026-11-20T10:30:00Z"}}`,
		"failed":       head + `"phase":"failed","attempt":2,` + reason + `}`,
		"resent":       head + `"phase":"failed","attempt":2,"resent":"2026-11-20T11:00:00Z",` + reason + `}`,
		"unknown":      head + `"phase":"unknown","attempt":2,"doubts":1,` + reason + `}`,
		"cancelled":    head + `"phase":"cancelled","attempt":1,` + reason + `}`,
	}
}

// TestJobsInFlightOfTheFirstVersion: whatever copy comes to a record of the first
// version, and whatever its try meets, the job goes on or ends, and its attempt is never
// counted back or twice.
func TestJobsInFlightOfTheFirstVersion(t *testing.T) {
	stored := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	runs := 0
	for name, text := range inFlight() {
		for _, sequence := range []uint64{6, 7, 8} {
			for _, attempt := range []int{0, 2, 3} {
				for _, digest := range []string{"d", "other"} {
					for _, l := range []Lookup{Present, Gone} {
						c := Copy{Sequence: sequence, Stored: stored.Add(time.Duration(sequence-7) * time.Minute), Attempt: attempt, Digest: digest}
						for _, f := range faults() {
							if f.RetryAfter > 0 && f.RetryAfter < 7*time.Minute {
								continue // some of their marks only
							}
							runs++
							if problem := upgraded(text, c, l, f); problem != "" {
								t.Fatalf("%s: copy %+v, lookup %d, met %+v: %s", name, c, l, *f, problem)
							}
						}
					}
				}
			}
		}
	}
	if runs < 100_000 {
		t.Errorf("only %d runs", runs)
	}
}

// upgraded runs a copy beside a record, as a worker does, and says what is wrong; empty is
// nothing.
func upgraded(text string, c Copy, l Lookup, f *fault.Fault) (problem string) {
	defer func() {
		if value := recover(); value != nil {
			problem = fmt.Sprint("it panicked: ", value)
		}
	}()
	var r Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err.Error()
	}
	before := r.Attempt
	kind := Classify(r, c, NotAsked)
	if kind == NeedsLookup {
		kind = Classify(r, c, l)
	}
	switch kind {
	case Resume, Next, Restart:
		r.Claim(kind, c)
	case InDoubt:
		r.Adopt(c)
		f = CutOff()
	case Replay:
		if r.Phase == Waiting { // the queue may refuse its schedule for good
			r.Apply(Decide(r.Situation(&fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "x"}, "w"), time.Time{}, policy))
		}
		return afterwards(r, before)
	case Stale, Duplicate, Concurrent, Reused:
		return ""
	default:
		return "it is of the kind " + string(kind)
	}
	if own := r.Abandonment(); own != nil {
		f = own
	}
	if f.Kind == fault.UnknownOutcome && kind != InDoubt {
		r.Send()
	}
	tried := r.Attempt
	r.Meet(f, "new")
	s := r.Situation(f, "new")
	s.Deadline, s.Jitter = noon.Add(time.Hour), 0.5
	out := Decide(s, noon, policy)
	r.Apply(out)
	if _, off := out.(PutOff); off {
		tried--
	}
	if (kind == Next || kind == Restart) && tried < before {
		return fmt.Sprintf("attempt %d came after %d", tried, before)
	}
	if r.Attempt != tried {
		return fmt.Sprintf("attempt %d ended as %d", tried, r.Attempt)
	}
	return afterwards(r, 0)
}

// afterwards says what is wrong with a record after its try.
func afterwards(r Record, least int) string {
	switch {
	case r.Attempt < least:
		return fmt.Sprintf("attempt %d was counted back to %d", least, r.Attempt)
	case r.Phase == Failed && (r.PossibleDuplicate || r.UnknownSends > 0):
		return "it ended as one that Redox does not have"
	}
	return ""
}

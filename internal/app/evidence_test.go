package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/schemas"
)

// Of half of the messages whose answer was lost Redox has taken, and of the other half
// it has not. Where the source is ours alone the logs tell which; where it is not, they
// say nothing.
func TestLostAnswersAreSettledByEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lost := 20
	if *longOutcomes {
		lost = 200
	}
	w.settings.Delivery.OnUnknown = OnUnknownEvidence
	mapping := map[string]string{}
	file := w.put("a.pdf", document(1000, "a"))
	stop := w.worker()
	for i := range lost {
		slug, action := fmt.Sprintf("clinic-%d", i), redoxsim.CutAfterProcessing
		mapping[slug] = platform.DestinationID(slug)
		if i%2 == 1 {
			action = redoxsim.CutAfterBody
		}
		w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: slug}, Skip: 1, Times: 1, Action: action})
		w.publish(w.job(fmt.Sprintf("before-%d", i), []schemas.File{file}, to(slug)))
	}
	for i := range lost {
		w.final(fmt.Sprintf("before-%d", i))
		w.publish(w.job(fmt.Sprintf("lost-%d", i), []schemas.File{file}, to(fmt.Sprintf("clinic-%d", i))))
	}
	for i := range lost {
		if e := w.final(fmt.Sprintf("lost-%d", i)); e.Data.Status != schemas.StatusUnknown {
			t.Fatalf("lost-%d is %s", i, e.Data.Status)
		}
	}
	sent := len(w.sim.Messages())

	shared := w.follower(w.followSettings(func(s *FollowSettings) { s.Outcome.Environment = w.api.EnvironmentID("Development") }))
	devtest.Until(t, "a follower has read the events", patienceOfTests, func() bool { return w.standing().At.After(time.Time{}) })
	shared()
	if w.countPlatform() != 0 || w.deadLetters() != lost {
		t.Errorf("where others write too, %d requests were made, and %d of %d jobs are held", w.countPlatform(), w.deadLetters(), lost)
	}

	// What the first follower read of the events is behind its cursor: the windows begin
	// with what comes after the declaration. So this one begins with an empty bucket.
	if err := w.js.DeleteKeyValue(t.Context(), "CHARTPOST_OUTCOMES"); err != nil {
		t.Fatal(err)
	}
	w.follower(w.followSettings(func(s *FollowSettings) {
		s.SourceIsOurs, s.OnUnknown, s.Outcome.Destinations = true, OnUnknownEvidence, mapping
		s.Times = outcome.Times{
			Tick: 50 * time.Millisecond, Before: 8 * time.Second, After: time.Second, Settle: time.Second, Again: 200 * time.Millisecond, LookLongest: time.Second,
		}
	}))
	for i := range lost {
		id := fmt.Sprintf("lost-%d", i)
		e := w.await(id, func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
		found := e.Data.Reason != nil && e.Data.Reason.Code == outcome.CodeFound
		switch {
		case found != (i%2 == 0):
			t.Errorf("%s: found %v, %+v", id, found, e.Data)
		case found && (e.Data.Evidence == nil || e.Data.Evidence.Window == nil || e.Data.Evidence.Window.Logs != e.Data.Evidence.Window.Jobs+1):
			t.Errorf("%s: the evidence is %+v", id, e.Data.Evidence)
		case !found && !e.Data.PossibleDuplicate:
			t.Errorf("%s was sent again and does not say so: %+v", id, e.Data)
		}
	}
	devtest.Until(t, "no job is held", patienceOfTests, func() bool { return w.deadLetters() == 0 })
	if n := len(w.sim.Messages()); n != sent+lost/2 {
		t.Errorf("%d messages were sent again, want %d", n-sent, lost/2)
	}
	stop()
}

// deadLetters is how many there are.
func (w *world) deadLetters() int {
	stream, err := w.js.Stream(w.t.Context(), "CHARTPOST_DEAD")
	if err != nil {
		w.t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

func (w *world) countPlatform() (n int) {
	for _, r := range w.sim.Requests() {
		if strings.HasPrefix(r.Path, "/platform/") {
			n++
		}
	}
	return n
}

// An error of a search is never read as "none": a held job stays held for as long as
// Redox does not answer.
func TestAnErrorSettlesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.OnUnknown = "hold"
	w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Times: 1, Action: redoxsim.CutAfterBody})
	w.worker()
	w.publish(w.job("lost", []schemas.File{w.put("a.pdf", document(1000, "a"))}))
	w.final("lost")
	for _, status := range []int{401, 403, 404, 429, 504} {
		w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.PlatformRequest}, Times: 3, Action: redoxsim.AnswerStatus, Status: status})
	}
	w.follower(w.followSettings(func(s *FollowSettings) {
		s.SourceIsOurs, s.OnUnknown = true, OnUnknownEvidence
		s.Budget.Requests = 0 // after a 429 it would wait for its window
		s.Outcome.Environment = w.api.EnvironmentID("Development")
		s.Outcome.Destinations = map[string]string{"good-health": platform.DestinationID("good-health")}
		s.Times = outcome.Times{
			Tick: 20 * time.Millisecond, Before: 5 * time.Second, After: 100 * time.Millisecond, Settle: 100 * time.Millisecond, Again: 50 * time.Millisecond,
			Pause: 50 * time.Millisecond, LookLongest: time.Second,
		}
	}))
	e := w.await("lost", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	refused, asked := 0, 0
	for _, r := range w.sim.Requests() {
		if strings.HasPrefix(r.Path, "/platform/") && r.End.Before(e.Time) {
			asked++
			if r.Status != 200 {
				refused++
			}
		}
	}
	if refused != 15 || asked < 15+6 || !e.Data.PossibleDuplicate {
		t.Errorf("after %d requests, of which %d failed, the job was sent again: %+v", asked, refused, e.Data)
	}
}

package outcome

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

const labID = "7d0c1a52-3f0e-4c3a-9b55-0a4f6a1f2e10"

func acceptedAt(sequence uint64, at time.Time) Event {
	return Event{sequence, schemas.EventData{
		JobID: fmt.Sprintf("job-%d", sequence), Class: schemas.Live, Destination: "lab", Status: schemas.StatusAccepted, Attempt: 1,
		Receipt: &schemas.Receipt{Status: 200, AcceptedAt: at},
	}, at}
}

func heldAt(sequence uint64, at time.Time) Event {
	return Event{sequence, schemas.EventData{
		JobID: fmt.Sprintf("job-%d", sequence), Class: schemas.Live, Destination: "lab", Status: schemas.StatusUnknown, Attempt: 1,
		Reason: &schemas.Reason{Kind: "unknown_outcome", Code: "redox_answer_timeout"},
	}, at}
}

// windowsOf folds events, the way the follower does.
func windowsOf(events ...Event) (all []*Window) {
	for _, e := range events {
		for _, w := range Fold(all, labID, e, times) {
			known := false
			for _, old := range all {
				known = known || old == w
			}
			if !known {
				all = append(all, w)
			}
		}
	}
	return all
}

// counted adds counts of logs until the window has an answer.
func counted(w *Window, logs ...platform.Status) State {
	for i := range 3 {
		c := tally{query: platform.Query{DestinationID: labID, CreatedAfter: noon.Add(-time.Hour), CreatedBefore: noon.Add(time.Hour)}, logs: map[string]platform.Log{}}
		for n, status := range logs {
			c.take(platform.Log{ID: fmt.Sprint("log-", n), Status: status, CreatedAt: noon, DestinationID: labID})
		}
		w.add(c.count(noon.Add(time.Duration(i) * time.Hour)))
	}
	return w.Conclude(times, noon.Add(4*time.Hour))
}

func TestWindowsAreApart(t *testing.T) {
	later := noon.Add(times.gap())
	all := windowsOf(acceptedAt(1, noon), acceptedAt(2, noon.Add(-time.Second)), acceptedAt(3, later), acceptedAt(2, noon))
	if len(all) != 2 || all[0].Accepted != 2 || all[1].Accepted != 1 {
		t.Fatalf("the windows are %+v", all)
	}
	if q := all[0].query("s", times); q.CreatedBefore.After(all[1].query("s", times).CreatedAfter) {
		t.Error("two windows have a time in common")
	}
	if all[0].over(times, later) || !all[0].over(times, later.Add(1)) {
		t.Error("a window is over at the wrong time")
	}
	bridge := windowsOf(acceptedAt(1, noon), acceptedAt(3, later), heldAt(4, noon.Add(times.gap()/2)))
	if len(bridge) != 2 || bridge[0].Muddled == 0 || bridge[1].Muddled == 0 {
		t.Errorf("a message that may belong to two windows leaves them %+v and %+v", bridge[0], bridge[1])
	}
}

func TestWhatAWindowShows(t *testing.T) {
	refused := heldAt(9, noon)
	refused.Data.Status = schemas.StatusRetrying
	twice := heldAt(9, noon)
	twice.Data.PossibleDuplicate = true
	ok, failed, pending := platform.Succeeded, platform.Failed, platform.Pending
	answered := heldAt(2, noon)
	answered.Data.Reason = &schemas.Reason{Kind: "unknown_outcome", Code: "redox_answer_unreadable"}
	crashed := heldAt(2, noon)
	crashed.Data.Reason = &schemas.Reason{Kind: "unknown_outcome", Code: "interrupted_while_sending"}
	unreadable := heldAt(2, noon)
	unreadable.Data.Reason = &schemas.Reason{Kind: "permanent", Code: "ledger_unreadable"}
	for _, c := range []struct {
		name   string
		events []Event
		logs   []platform.Status
		want   State
	}{
		{"one job, one log", []Event{acceptedAt(1, noon)}, []platform.Status{failed}, Bound},
		{"one job, no log", []Event{acceptedAt(1, noon)}, nil, Waiting},
		{"one job, two logs", []Event{acceptedAt(1, noon)}, []platform.Status{ok, ok}, Waiting},
		{"two jobs, two logs", []Event{acceptedAt(1, noon), acceptedAt(2, noon)}, []platform.Status{ok, ok}, Totals},
		{"two jobs, one pending", []Event{acceptedAt(1, noon), acceptedAt(2, noon)}, []platform.Status{ok, pending}, Waiting},
		{"a refused request in between", []Event{acceptedAt(1, noon), refused}, []platform.Status{ok}, Open},
		{"held, one log too many", []Event{acceptedAt(1, noon), heldAt(2, noon)}, []platform.Status{ok, pending}, Found},
		{"held, alone, one log", []Event{heldAt(2, noon)}, []platform.Status{pending}, Found},
		{"held, as many logs", []Event{acceptedAt(1, noon), heldAt(2, noon)}, []platform.Status{ok}, NotFound},
		{"held, alone, none", []Event{heldAt(2, noon)}, nil, NotFound},
		{"held, a log failed", []Event{acceptedAt(1, noon), heldAt(2, noon)}, []platform.Status{ok, failed}, Open},
		{"held, two too many", []Event{heldAt(2, noon)}, []platform.Status{ok, ok}, Open},
		{"held, one too few", []Event{acceptedAt(1, noon), heldAt(2, noon)}, nil, Open},
		{"held after a 2xx", []Event{answered}, []platform.Status{ok}, Found},
		{"held, and it is not known when it was sent", []Event{crashed, heldAt(3, noon)}, nil, Open},
		{"held for its record", []Event{unreadable, heldAt(3, noon)}, nil, Open},
		{"two held", []Event{heldAt(1, noon), heldAt(2, noon)}, []platform.Status{ok}, Open},
		{"held after it was sent twice", []Event{twice, heldAt(10, noon)}, []platform.Status{ok}, Open},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := windowsOf(c.events...)[0]
			if got := counted(w, c.logs...); got != c.want {
				t.Errorf("it shows %q, want %q: %+v", got, c.want, w)
			}
		})
	}
}

// A worker that ended while it sent may have made a log of any window before the event that
// tells of it: the job may have waited for hours in a lane that was paused.
func TestAMessageOfUnknownTimeLeavesNoWindowToBeCounted(t *testing.T) {
	for _, c := range []struct {
		status schemas.Status
		reason schemas.Reason
		want   State
	}{
		{schemas.StatusUnknown, schemas.Reason{Kind: "unknown_outcome", Code: "interrupted_while_sending"}, Open},
		{schemas.StatusRetrying, schemas.Reason{Kind: "unknown_outcome", Code: "interrupted_while_sending"}, Open},
		{schemas.StatusUnknown, schemas.Reason{Kind: "permanent", Code: "ledger_unreadable"}, Open},
		{schemas.StatusRetrying, schemas.Reason{Kind: "retryable", Code: "redox_status_503"}, Found},
		{schemas.StatusRetrying, schemas.Reason{Kind: "unknown_outcome", Code: "redox_status_504"}, Found},
	} {
		late := heldAt(7, noon.Add(3*time.Hour))
		late.Data.Status, late.Data.Reason = c.status, &c.reason
		w := windowsOf(heldAt(2, noon), late)[0]
		if got := counted(w, platform.Pending); got != c.want {
			t.Errorf("%s for %s hours later: the window of a held job shows %q, want %q", c.status, c.reason.Code, got, c.want)
		}
	}
}

// A search without end neither fills the memory nor shows anything.
func TestFarMoreLogsThanMessagesAreNotKept(t *testing.T) {
	w := windowsOf(acceptedAt(1, noon), heldAt(2, noon))[0]
	for i := range 3 {
		c := w.tally("", times)
		kept := 0
		for n := range 1_000_000 {
			if !c.take(platform.Log{ID: fmt.Sprint("log-", n), Status: platform.Succeeded, CreatedAt: noon, DestinationID: labID}) {
				break
			}
			kept = len(c.logs)
		}
		if kept > 2000 || c.strange {
			t.Fatalf("%d logs of a window with two messages are kept", kept)
		}
		w.add(c.count(noon.Add(time.Duration(i) * time.Hour)))
	}
	if got := w.Conclude(times, noon.Add(4*time.Hour)); got != Open {
		t.Errorf("it shows %q", got)
	}
}

// Counts that differ from each other show nothing, and too few show nothing either.
func TestCountsMustAgree(t *testing.T) {
	for _, totals := range [][]int{{1}, {1, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}} {
		w := windowsOf(heldAt(1, noon))[0]
		for i, n := range totals {
			w.add(Count{At: noon.Add(time.Duration(i) * time.Hour), Total: n})
		}
		if got := w.Conclude(times, noon.Add(time.Hour)); got != Waiting {
			t.Errorf("counts of %v show %q", totals, got)
		}
		if got := w.Conclude(times, noon.Add(times.Unconfirmed)); got != Open {
			t.Errorf("counts of %v show %q at last", totals, got)
		}
	}
}

// A search that finds what it was not asked for is no count.
func TestASearchThatIsNotNarrowedIsStrange(t *testing.T) {
	q := platform.Query{DestinationID: labID, CreatedAfter: noon, CreatedBefore: noon.Add(time.Minute)}
	for _, c := range []struct {
		log     platform.Log
		strange bool
	}{
		{platform.Log{ID: "a", CreatedAt: noon, DestinationID: labID, SourceID: "s"}, false},
		{platform.Log{ID: "a", CreatedAt: noon.Add(-time.Second), DestinationID: labID}, true},
		{platform.Log{ID: "a", DestinationID: labID}, true},
		{platform.Log{ID: "a", CreatedAt: noon, DestinationID: "another"}, true},
		{platform.Log{ID: "a", CreatedAt: noon, SourceID: "another"}, true},
	} {
		n := tally{source: "s", query: q, logs: map[string]platform.Log{}}
		n.take(c.log)
		if n.strange != c.strange {
			t.Errorf("%+v is strange: %v", c.log, n.strange)
		}
	}
}

// Where others write too although the operator says that none does, nothing is said
// of a window whose numbers do not fit, and no statement is false where they do.
func TestWindowsWithOtherWriters(t *testing.T) {
	statements, open := 0, 0
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 19))
		at := noon
		for sequence := uint64(1); sequence < 40; {
			at = at.Add(times.gap() + time.Duration(random.IntN(3600))*time.Second)
			var events []Event
			truth := map[string]platform.Status{}
			logs := map[string]platform.Log{}
			put := func(id string, own bool) platform.Status {
				status := []platform.Status{platform.Succeeded, platform.Failed, platform.Filtered, platform.Pending}[random.IntN(4)]
				logs[id] = platform.Log{ID: id, Status: status, CreatedAt: at.Add(-time.Duration(random.IntN(300)) * time.Second), DestinationID: labID}
				return status
			}
			for range 1 + random.IntN(2) {
				events = append(events, acceptedAt(sequence, at.Add(time.Duration(random.IntN(10))*time.Second)))
				truth[fmt.Sprintf("job-%d", sequence)] = put(fmt.Sprintf("own-%d", sequence), true)
				sequence++
			}
			foreign := random.IntN(3)
			for i := range foreign {
				put(fmt.Sprintf("foreign-%d-%d", sequence, i), false)
			}
			w := windowsOf(events...)[0]
			for i := range 2 {
				c := tally{query: w.query("", times), logs: map[string]platform.Log{}}
				for _, log := range logs {
					c.take(log)
				}
				if c.strange {
					t.Fatalf("seed %d: a log is outside of its window", seed)
				}
				w.add(c.count(at.Add(time.Duration(i) * time.Hour)))
			}
			state := w.Conclude(times, at.Add(2*time.Hour))
			if state == Waiting || state == Open {
				open++
				continue
			}
			statements++
			if foreign > 0 {
				t.Errorf("seed %d: %q of a window with %d jobs and %d logs", seed, state, w.Accepted, len(logs))
			}
			if only := w.Counts[1].Only; state == Bound && only.Status != truth[w.Job.ID] {
				t.Errorf("seed %d: %s is said to be %s, and is %s", seed, w.Job.ID, only.Status, truth[w.Job.ID])
			}
		}
	}
	if statements < 100 || open < 100 {
		t.Errorf("only %d statements and %d open windows", statements, open)
	}
}

// A window that reaches behind the time since when every event was counted may lack
// messages, so that nothing is concluded from it.
func TestAWindowAtTheBeginningIsNotCounted(t *testing.T) {
	for _, c := range []struct {
		whole time.Time
		want  State
	}{{noon.Add(-times.gap()), Open}, {noon.Add(-times.gap() - 1), Found}} {
		s := newState()
		s.cursor.value.Whole = c.whole
		s.take(heldAt(9, noon), Settings{Ours: true, Destinations: map[string]string{"lab": labID}, Times: times})
		w := s.waiting(labID)
		if len(w) != 1 {
			t.Fatalf("there are %d windows", len(w))
		}
		if got := counted(w[0], platform.Succeeded); got != c.want {
			t.Errorf("counted since %s before, it shows %q, want %q", noon.Sub(c.whole), got, c.want)
		}
	}
}

// What Redox answered with a 2xx is never sent again, whatever its logs show.
func TestAMessageThatWasAnsweredIsNotSentAgain(t *testing.T) {
	for code, want := range map[string]bool{"redox_answer_timeout": true, "redox_status_504": true, "redox_answer_unreadable": false, "redox_refused": false} {
		e := heldAt(1, noon)
		e.Data.Reason.Code = code
		w := windowsOf(e)[0]
		if w.Held != 1 || w.Answered == want {
			t.Errorf("%s: %+v", code, w)
		}
	}
}

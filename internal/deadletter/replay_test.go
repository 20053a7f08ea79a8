package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// failed is a job that ended as failed.
func (w *world) failed(id string) []byte {
	data := jobText(id, "1")
	w.record(id, data, job.Failed)
	w.bury(id, data, schemas.StatusFailed)
	return data
}

// schedule brings the job back some time.
func (w *world) schedule(id string, data []byte) {
	w.t.Helper()
	err := w.queue.Outbox().Later(w.t.Context(), worker.Schedule{Lane: lane, JobID: id, Data: data, Attempt: 5, At: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
}

// letters are all that are there.
func (w *world) letters() []natsq.Letter {
	w.t.Helper()
	var all []natsq.Letter
	if err := w.queue.Letters(w.t.Context(), func(l natsq.Letter) bool { all = append(all, l); return true }); err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) letterOf(id string) natsq.Letter {
	w.t.Helper()
	for _, l := range w.letters() {
		if l.JobID == id {
			return l
		}
	}
	w.t.Fatalf("no letter of %s", id)
	return natsq.Letter{}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := w.failed("a")
	letter := w.letterOf("a")
	desk := w.desk("ann")
	if outcome, err := desk.Replay(t.Context(), letter, Terms{DryRun: true}); err != nil || outcome != Resent {
		t.Fatal(outcome, err)
	}
	w.want("a dry run", 0, 0, 1)
	desk.Before = func(context.Context, natsq.Letter) error { return errCut }
	if _, err := desk.Replay(t.Context(), letter, Terms{}); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	w.want("refused before", 0, 0, 1)
	var told []string
	desk.Before = func(_ context.Context, l natsq.Letter) error { told = append(told, l.JobID); return nil }
	if outcome, err := desk.Replay(t.Context(), letter, Terms{}); err != nil || outcome != Resent {
		t.Fatal(outcome, err)
	}
	w.want("replay", 1, 0, 0)
	if sent := w.jobs()[0]; string(sent.Data) != string(data) || sent.Subject != "chartpost.jobs.live.good-health" {
		t.Errorf("%s has %s", sent.Subject, sent.Data)
	}
	if r := w.found("a"); r.Phase != job.Failed || r.PossibleDuplicate || r.Attempt != 4 || r.Resent.IsZero() || r.Owner != "operator ann" {
		t.Errorf("%+v", r)
	}
	if outcome, err := desk.Replay(t.Context(), letter, Terms{}); err != nil || outcome != Gone || len(told) != 1 {
		t.Errorf("once more: %s, %v, told of %v", outcome, err, told)
	}
}

func TestReplayTakesOlderOnesAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", jobText("a", "2"), schemas.StatusFailed)
	w.bury("a", jobText("a", "1"), schemas.StatusFailed)
	if err := w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{
		Lane: lane, Data: jobText("a", "1"), Key: fmt.Sprintf("dead/9/%s/5/failed", digest(jobText("a", "1"))[:16]), JobID: "a", Status: schemas.StatusFailed,
	}); err != nil {
		t.Fatal(err)
	}
	w.record("a", jobText("a", "1"), job.Failed)
	stacks := Stacks(w.letters())
	if len(stacks) != 2 || stacks[0].Newest.Sequence != 1 || stacks[1].Newest.Sequence != 3 || len(stacks[1].Older) != 1 {
		t.Fatalf("%+v", stacks)
	}
	if _, err := w.desk("ann").Replay(t.Context(), stacks[1].Newest, Terms{}, stacks[1].Older...); err != nil {
		t.Fatal(err)
	}
	w.want("the newest", 1, 0, 1)
}

// TestReplayKeepsTheLine: what a run published stays the run's when a person sends it
// again, marked so that it goes on after the run was cancelled.
func TestReplayKeepsTheLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobText("a", "1")
	if err := w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{
		Lane: lane, Data: data, Key: fmt.Sprintf("dead/7/%s/4/failed", digest(data)[:16]), JobID: "a", Status: schemas.StatusFailed, Line: worker.Line{Run: "r", Number: 7},
	}); err != nil {
		t.Fatal(err)
	}
	if l := w.letterOf("a").Line; l != (worker.Line{Run: "r", Number: 7}) {
		t.Errorf("the letter is of %+v", l)
	}
	if _, err := w.desk("ann").Replay(t.Context(), w.letterOf("a"), Terms{}); err != nil {
		t.Fatal(err)
	}
	if got := w.jobs()[0].Header.Get(natsq.HeaderBackfill); got != "r/7/replayed" {
		t.Errorf("the job goes on with the line %q", got)
	}
}

// TestReplayGoesOnWithTheTrace of the job, so that its spans hang together.
func TestReplayGoesOnWithTheTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	data := jobText("a", "1")
	if err := w.queue.Outbox().Bury(schemas.WithTrace(t.Context(), schemas.ParseTrace(trace)), worker.DeadLetter{
		Lane: lane, Data: data, Key: fmt.Sprintf("dead/7/%s/4/failed", digest(data)[:16]), JobID: "a", Status: schemas.StatusFailed,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk("ann").Replay(t.Context(), w.letterOf("a"), Terms{}); err != nil {
		t.Fatal(err)
	}
	if got := w.jobs()[0].Header.Get(schemas.HeaderTrace); got != trace {
		t.Errorf("the job goes on with the trace %q", got)
	}
}

func TestStacks(t *testing.T) {
	letter := func(seq uint64, id, key string, status schemas.Status) natsq.Letter {
		return natsq.Letter{Sequence: seq, JobID: id, Key: key, Status: status}
	}
	a1, a2, a3 := letter(1, "a", "dead/1/x/1/failed", "failed"), letter(3, "a", "dead/2/x/2/failed", "failed"), letter(6, "a", "dead/3/x/3/failed", "failed")
	b, none1, none2 := letter(2, "b", "dead/9/x/1/failed", "failed"), letter(4, "", "", ""), letter(5, "", "", "")
	other := letter(7, "a", "dead/9/y/1/failed", "failed")
	reused1, reused2 := letter(8, "a", "dead/10/x/0/duplicate", "duplicate"), letter(9, "a", "dead/11/x/0/duplicate", "duplicate")
	want := []Stack{
		{Newest: b}, {Newest: none1}, {Newest: none2}, {Newest: a3, Older: []natsq.Letter{a1, a2}}, {Newest: other}, {Newest: reused1}, {Newest: reused2},
	}
	if got := Stacks([]natsq.Letter{a1, b, a2, none1, none2, a3, other, reused1, reused2}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestJudge(t *testing.T) {
	data := jobText("x", "1")
	parsed, err := schemas.DecodeJob(data)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	late := parsed.Deadline().Add(time.Second)
	stray := schemas.Lane{Class: schemas.Live, Destination: schemas.Misaddressed}
	for name, c := range map[string]struct {
		status schemas.Status
		lane   schemas.Lane
		record job.Record
		terms  Terms
		now    time.Time
		want   any
	}{
		"failed":                {status: "failed", record: job.Record{Phase: job.Failed}, want: Resent},
		"cancelled since":       {status: "failed", record: job.Record{Phase: job.Cancelled}, want: "ended_since"},
		"unknown":               {status: "unknown", record: job.Record{Phase: job.Held}, want: "unknown_outcome"},
		"unknown, allowed":      {status: "unknown", record: job.Record{Phase: job.Held}, terms: Terms{Unknown: true}, want: Resent},
		"failed, unknown since": {status: "failed", record: job.Record{Phase: job.Held}, terms: Terms{Unknown: true}, want: "ended_since"},
		"unknown, failed since": {status: "unknown", record: job.Record{Phase: job.Failed}, terms: Terms{Unknown: true}, want: "not_unknown"},
		"accepted since":        {status: "failed", record: job.Record{Phase: job.Accepted}, want: "accepted_since"},
		"working":               {status: "failed", record: job.Record{Phase: job.Working}, want: UnderWay},
		"sending":               {status: "unknown", record: job.Record{Phase: job.Sending}, want: UnderWay},
		"waiting, late":         {status: "failed", record: job.Record{Phase: job.Waiting}, now: late, want: UnderWay},
		"another version":       {status: "failed", record: job.Record{Phase: job.Failed, Digest: "x"}, want: "other_version"},
		"another under way":     {status: "failed", record: job.Record{Phase: job.Working, Digest: "x"}, want: "other_version"},
		"expired":               {status: "failed", record: job.Record{Phase: job.Failed}, now: late, want: "expired"},
		"expired, renewed":      {status: "failed", record: job.Record{Phase: job.Failed}, now: late, terms: Terms{Expires: late.Add(1)}, want: Resent},
		"reused":                {status: "duplicate", record: job.Record{Phase: job.Failed}, want: "id_reused"},
		"misaddressed":          {status: "failed", lane: stray, record: job.Record{Phase: job.Failed}, want: "misaddressed"},
		"no headers, failed":    {record: job.Record{Phase: job.Failed}, want: Resent},
		"no headers, held":      {record: job.Record{Phase: job.Held}, want: "unknown_outcome"},
	} {
		if c.lane == (schemas.Lane{}) {
			c.lane = lane
		}
		if c.now.IsZero() {
			c.now = now
		}
		if c.record.Digest == "" {
			c.record.Digest = digest(data)
		}
		outcome, err := judge(natsq.Letter{Lane: c.lane, Status: c.status}, parsed, data, c.record, c.terms, c.now)
		var got any = outcome
		if refused, ok := errors.AsType[*Refusal](err); ok {
			got = refused.Code
		}
		if got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if r := job.Remembered("", "", 1, false); r.Phase != job.Held {
		t.Error("a letter that says nothing counts as one of a job that was not sent")
	}
}

// TestReplayInterruptedAnywhere: whatever step a replay dies at, before or after
// its effect, the job is in the queue or in the dead letters, and a repeat brings
// it to the same end, once.
func TestReplayInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent, cuts := 0, 0
	for _, status := range []schemas.Status{schemas.StatusFailed, schemas.StatusUnknown} {
		for _, after := range []bool{false, true} {
			for n, cutOff := 1, true; cutOff; n++ {
				id := fmt.Sprintf("%s-%v-%d", status, after, n)
				switch {
				case n%2 == 0: // forgotten by the ledger
					w.bury(id, jobText(id, "1"), status)
				case status == schemas.StatusFailed:
					w.failed(id)
				default:
					w.held(id)
				}
				letter, terms := w.letterOf(id), Terms{Unknown: true, Expires: time.Now().Add(time.Hour)}
				c := &cut{Service: w.desk("ann"), n: n, after: after}
				broken := &Service{Letters: c, Publisher: c, Ledger: c, Prefix: "chartpost", By: "operator ann", Now: time.Now}
				_, err := broken.Replay(t.Context(), letter, terms)
				if cutOff = errors.Is(err, errCut); !cutOff && err != nil {
					t.Fatal(err)
				}
				if jobs, left := len(w.jobs()), len(w.letters()); jobs == sent && left == 0 {
					t.Fatalf("%s: the job is lost", id)
				}
				if cutOff {
					cuts++
					terms.Expires = terms.Expires.Add(time.Minute) // a repeat comes later
					if _, err := w.desk("bob").Replay(t.Context(), letter, terms); err != nil {
						t.Errorf("%s, repeated: %v", id, err)
					}
				}
				sent++
				w.want(id, sent, 0, 0)
				if r := w.found(id); n%2 == 0 && !r.PossibleDuplicate {
					t.Errorf("%s: forgotten, and nobody is told that it may be there twice: %+v", id, r)
				}
				if n > 20 {
					t.Fatal("a replay does not end")
				}
			}
		}
	}
	if cuts < 16 {
		t.Errorf("it was cut off %d times only", cuts)
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failed("a")
	letter := w.letterOf("a")
	desk := w.desk("ann")
	desk.Before = func(context.Context, natsq.Letter) error { return errCut }
	if _, err := desk.Drop(t.Context(), letter); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	w.want("refused before", 0, 0, 1)
	for _, want := range []Outcome{Dropped, Gone} {
		if outcome, err := w.desk("ann").Drop(t.Context(), letter); err != nil || outcome != want {
			t.Error(outcome, err)
		}
	}
	w.want("dropped", 0, 0, 0)
	if r := w.found("a"); r.Phase != job.Failed {
		t.Errorf("%+v", r)
	}
}

func TestRefusedAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", []byte(`{"id":"a","Zebedee":1}`), schemas.StatusFailed)
	_, err := w.desk("ann").Replay(t.Context(), w.letterOf("a"), Terms{})
	if refused, ok := errors.AsType[*Refusal](err); !ok || refused.Code != "not_understood" || strings.Contains(err.Error(), "Zebedee") {
		t.Error(err)
	}
	w.want("poison", 0, 0, 1)
}

func TestExpiring(t *testing.T) {
	at := time.Date(2100, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	whole := string(jobText("a", "1"))
	without := strings.Replace(whole, `"expires_at":"2099-01-01T00:00:00Z",`, "", 1)
	spaced := strings.Replace(whole, `"expires_at":"2099-01-01T00:00:00Z"`, "\"expires_at\"\n : \"2099-01-01T00:00:00Z\" ", 1)
	escaped := strings.Replace(whole, `"expires_at"`, `"expires\u005fat"`, 1)
	for _, c := range []struct{ in, want string }{
		{whole, strings.Replace(whole, "2099-01-01T00:00:00Z", "2100-01-02T02:04:05Z", 1)},
		{without, "{\"expires_at\":\"2100-01-02T02:04:05Z\"," + without[1:]},
		{"\n" + without, "\n{\"expires_at\":\"2100-01-02T02:04:05Z\"," + without[1:]},
		{spaced, strings.Replace(spaced, "2099-01-01T00:00:00Z", "2100-01-02T02:04:05Z", 1)},
		{escaped, strings.Replace(escaped, "2099-01-01T00:00:00Z", "2100-01-02T02:04:05Z", 1)},
	} {
		out, err := expiring([]byte(c.in), at)
		if err != nil || string(out) != c.want {
			t.Errorf("%v\ngot  %s\nwant %s", err, out, c.want)
		}
		if parsed, err := schemas.DecodeJob(out); err != nil || !parsed.Deadline().Equal(at.Truncate(time.Second)) {
			t.Error(parsed.Deadline(), err)
		}
	}
	if out, err := expiring([]byte(whole), time.Time{}); err != nil || string(out) != whole {
		t.Error(string(out), err)
	}
	if _, err := expiring([]byte(whole), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("before it was requested")
	}
}

func FuzzExpiring(f *testing.F) {
	f.Add(jobText("a", "1"))
	f.Add([]byte(`{"id":"a"}`))
	at := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := schemas.DecodeJob(data)
		if err != nil {
			return
		}
		out, err := expiring(data, at)
		if err != nil {
			return
		}
		after, err := schemas.DecodeJob(out)
		if err != nil || !after.Deadline().Equal(at) {
			t.Fatalf("%v\n%s", err, out)
		}
		before.ExpiresAt = after.ExpiresAt
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if string(a) != string(b) {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

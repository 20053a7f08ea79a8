package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func (w *world) buryAll(lane schemas.Lane, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		err := w.Outbox().Bury(w.t.Context(), worker.DeadLetter{
			Lane: lane, Data: []byte("canary " + id), Key: "dead/1/x/2/unknown " + id, JobID: id, Status: schemas.StatusUnknown,
			Reason: schemas.Reason{Kind: "unknown_outcome", Code: "no_answer", Text: "no answer", Path: "/files/0"}, PossibleDuplicate: true,
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) letters() []Letter {
	w.t.Helper()
	var all []Letter
	if err := w.Letters(w.t.Context(), func(l Letter) bool { all = append(all, l); return true }); err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if all := w.letters(); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	w.buryAll(lane1, names(0, 300)...)
	w.buryAll(lane2, "other")
	w.send(&nats.Msg{Subject: "chartpost.dead.live.good-health", Data: []byte("too large for headers")})
	w.send(&nats.Msg{Subject: "chartpost.dead.live.canary_"})
	all := w.letters()
	if len(all) != 302 {
		t.Fatalf("%d dead letters, want 302", len(all))
	}
	for i, l := range all[:300] {
		if l.JobID != fmt.Sprint("job-", i) || l.Sequence != uint64(i+1) {
			t.Fatalf("%+v at place %d", l, i)
		}
	}
	want := Letter{
		Sequence: 301, Buried: all[300].Buried, Lane: lane2, JobID: "other", Status: schemas.StatusUnknown, Size: len("canary other"),
		Reason: schemas.Reason{Kind: "unknown_outcome", Code: "no_answer", Text: "no answer", Path: "/files/0"}, PossibleDuplicate: true, Key: "dead/1/x/2/unknown other",
		ReplayID: all[300].ReplayID,
	}
	if len(all[300].ReplayID) < 20 || all[300].ReplayID == all[299].ReplayID {
		t.Errorf("letters are published again under the ids %q and %q, want random ones", all[299].ReplayID, all[300].ReplayID)
	}
	if all[300] != want {
		t.Errorf("%+v, want %+v", all[300], want)
	}
	if l := all[301]; l.JobID != "" || l.Status != "" || l.Size != 21 || l.Lane != lane1 {
		t.Errorf("%+v", l)
	}
	n := 0
	if err := w.Letters(t.Context(), func(Letter) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("%d letters, %v", n, err)
	}
	w.wantNoConsumers(w.stream(dead))
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Letters(ctx, func(Letter) bool { cancel(); return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
}

// TestALetterIsItself: a stream made anew counts from 1 again, and what is there
// then must not be taken, or deleted, for what was.
func TestALetterIsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.buryAll(lane1, "a", "b")
	all := w.letters()
	if data, err := w.Content(t.Context(), all[0]); err != nil || string(data) != "canary a" {
		t.Errorf("%q, %v", data, err)
	}
	for range 2 {
		if err := w.Remove(t.Context(), all[0]); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Content(t.Context(), all[0]); !errors.Is(err, ErrNoLetter) {
		t.Errorf("%v, want ErrNoLetter", err)
	}
	if left := w.letters(); len(left) != 1 || left[0] != all[1] {
		t.Errorf("%+v is left", left)
	}
	if err := w.js.DeleteStream(t.Context(), w.stream(dead)); err != nil {
		t.Fatal(err)
	}
	w.setUp(testLayout)
	w.buryAll(lane1, "c", "d")
	if _, err := w.Content(t.Context(), all[1]); !errors.Is(err, ErrNoLetter) {
		t.Errorf("%v, want ErrNoLetter", err)
	}
	if err := w.Remove(t.Context(), all[1]); err != nil {
		t.Error(err)
	}
	if left := w.letters(); len(left) != 2 {
		t.Errorf("another's letter was removed: %+v", left)
	}
}

func TestLettersOutliveAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	w.buryAll(lane1, names(0, 5)...)
	var ids []string
	err := w.Letters(t.Context(), func(l Letter) bool {
		if ids = append(ids, l.JobID); len(ids) == 1 {
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	if err != nil || strings.Join(ids, " ") != strings.Join(names(0, 5), " ") {
		t.Errorf("%v, %v", ids, err)
	}
}

// TestLettersRemovedWhileListed: what is removed while it waits to be told never
// comes, and the listing ends all the same.
func TestLettersRemovedWhileListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.js.Stream(t.Context(), w.stream(dead))
	if err != nil {
		t.Fatal(err)
	}
	// More than the library asks for at once, so that some wait on the server.
	w.buryAll(lane1, names(0, 1200)...)
	n := 0
	err = w.Letters(t.Context(), func(Letter) bool {
		if n++; n == 1 {
			if err := c.Purge(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	if err != nil || n == 1200 {
		t.Errorf("%d letters, %v", n, err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lane3 := schemas.Lane{Class: schemas.Live, Destination: "z.z"}
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm)
	w.publish(lane1, 4)
	look(t, in)
	askFor(t, in, lane1, 1, time.Minute)
	job(t, in)
	w.publish(lane2, 2)
	w.put(worker.LaneState{Lane: lane1, Limit: 3})
	state := w.put(paused(lane3, time.Now().Add(time.Hour)))
	w.put(worker.LaneState{Lane: lane2, Limit: 3})
	w.put(worker.LaneState{Lane: lane2})
	until(t, "the limit is the consumer's", func() bool { return w.consumer(lane1).Config.MaxAckPending == 3 })
	look(t, in)
	until(t, "no limit is left", func() bool { return w.consumer(lane2).Config.MaxAckPending == 5 })
	reports, err := w.control().Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range reports {
		got = append(got, fmt.Sprintf("%s %s %d+%d of %d, limit %d", r.State.Lane.Class, r.State.Lane.Destination, r.Waiting, r.InHand, r.Concurrency, r.State.Limit))
	}
	want := []string{
		"live good-health 3+1 of 3, limit 3", "backfill other 2+0 of 5, limit 0", "live z.z 0+0 of 0, limit 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if p := reports[2].State.Pause; p == nil || !p.Until.Equal(state.Pause.Until) {
		t.Errorf("%+v", p)
	}
}

package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
)

// say publishes an event of a status.
func (w *world) say(lane schemas.Lane, id string, status schemas.Status) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	event := eventOf(lane, id, status)
	event.Data.Receipt, event.Data.Reason = &schemas.Receipt{Status: 200}, &schemas.Reason{Kind: "permanent", Code: "x"}
	if err := w.Outbox().Tell(ctx, lane, event); err != nil {
		w.t.Fatal(err)
	}
}

func ids(events []StoredEvent) []string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%d %s %s", e.Sequence, e.Event.Data.JobID, e.Event.Data.Status))
	}
	return out
}

// eventWorld has seven messages in the stream of events, one of which is none.
func eventWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.say(lane1, "a", schemas.StatusUploaded)
	w.say(lane1, "ab", schemas.StatusAccepted)
	w.say(lane2, "a", schemas.StatusFailed)
	w.send(&nats.Msg{Subject: schemas.EventSubject(w.prefix, lane1, "uploaded"), Data: []byte("canary, no event")})
	w.say(lane1, "a", schemas.StatusAccepted)
	w.say(lane2, "c", schemas.StatusAccepted)
	w.say(lane1, "a", schemas.StatusDuplicate)
	return w
}

func TestEventsOfARange(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	fifth, err := w.fromLeader(t.Context(), w.stream(events), leaderGet{Sequence: 5})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of   EventRange
		want string
	}{
		"all":          {EventRange{}, "1 2 3 5 6 7"},
		"a class":      {EventRange{EventSelection: EventSelection{Class: schemas.Backfill}}, "3 6"},
		"destination":  {EventRange{EventSelection: EventSelection{Destination: lane1.Destination}}, "1 2 5 7"},
		"statuses":     {EventRange{EventSelection: EventSelection{Statuses: []schemas.Status{"accepted", "failed"}}}, "2 3 5 6"},
		"nothing":      {EventRange{EventSelection: EventSelection{Destination: "nobody"}}, ""},
		"from":         {EventRange{FromSequence: 3}, "3 5 6 7"},
		"from the end": {EventRange{FromSequence: 8}, ""},
		"since":        {EventRange{Since: fifth.Time}, "5 6 7"},
		"until":        {EventRange{Until: fifth.Time}, "1 2 3"},
		"between":      {EventRange{FromSequence: 2, Until: fifth.Time}, "2 3"},
	} {
		var got []string
		_, err := w.Events(t.Context(), c.of, func(e StoredEvent, data []byte) bool {
			if decoded, err := schemas.DecodeEvent(data); err != nil || decoded.ID != e.Event.ID {
				t.Errorf("%s: %s, %v", name, data, err)
			}
			got = append(got, fmt.Sprint(e.Sequence))
			return true
		})
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, c.want)
		}
	}
	unreadable, err := w.Events(t.Context(), EventRange{}, func(e StoredEvent, _ []byte) bool { return e.Sequence < 5 })
	if err != nil || unreadable != 1 {
		t.Errorf("%d are no events, %v", unreadable, err)
	}
	w.wantNoConsumers(w.stream(events))
}

// TestEventsEnd: what comes while they are read is not of them, so that reading a
// busy stream ends.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	n := 0
	_, err := w.Events(t.Context(), EventRange{}, func(StoredEvent, []byte) bool {
		w.say(lane1, fmt.Sprint("more-", n), schemas.StatusUploaded)
		n++
		return n < 100
	})
	if err != nil || n != 6 {
		t.Errorf("%d events, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = w.Events(ctx, EventRange{}, func(StoredEvent, []byte) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
	if _, err := dialPrefix(t, w, "other").Events(t.Context(), EventRange{}, nil); err == nil || !strings.Contains(err.Error(), "OTHER_EVENTS") {
		t.Errorf("%v, want the stream named", err)
	}
}

// dialPrefix makes the same connection one under another prefix.
func dialPrefix(t *testing.T, w *world, prefix string) *Conn {
	t.Helper()
	return &Conn{nc: w.nc, js: w.js, prefix: prefix, log: w.log, troubles: w.troubles}
}

func TestEventsOutliveAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	w.tell(lane1, names(0, 10)...)
	var got []string
	_, err := w.Events(t.Context(), EventRange{}, func(e StoredEvent, _ []byte) bool {
		if got = append(got, e.Event.Data.JobID); len(got) == 3 {
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	if err != nil || !slices.Equal(got, names(0, 10)) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	live := EventRange{EventSelection: EventSelection{Class: schemas.Live, Destination: lane1.Destination}}
	for name, c := range map[string]struct {
		scan EventScan
		want []string
		read int
	}{
		"all":      {EventScan{JobID: "a"}, []string{"1 a uploaded", "3 a failed", "5 a accepted", "7 a duplicate"}, 7},
		"lane":     {EventScan{JobID: "a", EventRange: live}, []string{"1 a uploaded", "5 a accepted", "7 a duplicate"}, 5},
		"until":    {EventScan{JobID: "a", StopAt: schemas.StatusAccepted}, []string{"1 a uploaded", "3 a failed", "5 a accepted"}, 5},
		"stranger": {EventScan{JobID: "b"}, nil, 7},
	} {
		found, read, err := w.Scan(t.Context(), c.scan)
		if err != nil || read != c.read || !slices.Equal(ids(found), c.want) {
			t.Errorf("%s: %q after %d, %v; want %q after %d", name, ids(found), read, err, c.want, c.read)
		}
	}
}

func TestWhereIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := func(id string) []byte {
		return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z",
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"canary.pdf"}],
		"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}}`, id)
	}
	for i := range 5 {
		w.send(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane1), Data: data(fmt.Sprint("job-", i))})
	}
	w.send(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane2), Data: []byte(`{"id":"broken","operation":"canary"}`)})
	requested := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

	c, looked, err := w.Waiting(t.Context(), schemas.KeyOf(lane1, "job-3"), 100)
	if err != nil || looked != 4 || c == nil || c.Lane != lane1 || !c.RequestedAt.Equal(requested) || !c.ExpiresAt.Equal(requested.Add(72*time.Hour)) || !c.At.IsZero() {
		t.Fatalf("%+v after %d, %v", c, looked, err)
	}
	if again, err := w.Held(t.Context(), c.Sequence, c.Stored); err != nil || *again != *c {
		t.Errorf("%+v, %v", again, err)
	}
	if other, err := w.Held(t.Context(), c.Sequence, c.Stored.Add(1)); err != nil || other != nil {
		t.Errorf("of another stream: %+v, %v", other, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if none, err := w.Held(soon, 0, time.Time{}); err != nil || none != nil {
		t.Errorf("of no sequence: %+v, %v", none, err)
	}
	if held, err := w.Outbox().Holds(soon, 0, time.Time{}, schemas.KeyOf(lane1, "job-9")); err != nil || held {
		t.Errorf("no copy: %t, %v", held, err)
	}
	if c, _, err := w.Waiting(t.Context(), schemas.JobKey{ID: "broken"}, 100); err != nil || c == nil || c.Lane != lane2 || !c.RequestedAt.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	for most, want := range map[int]int{100: 6, 2: 2} {
		if c, looked, err := w.Waiting(t.Context(), schemas.JobKey{ID: "nobody"}, most); err != nil || c != nil || looked != want {
			t.Errorf("%+v after %d, %v", c, looked, err)
		}
	}
	if c, err := w.Scheduled(t.Context(), schemas.KeyOf(lane1, "job-3")); err != nil || c != nil {
		t.Errorf("%+v, %v", c, err)
	}
	at := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	w.later("job-3", data("job-3"), 4, at)
	if c, err := w.Scheduled(t.Context(), schemas.KeyOf(lane1, "job-3")); err != nil || c == nil || c.Lane != lane1 || c.Attempt != 4 || !c.At.Equal(at) || !c.RequestedAt.Equal(requested) {
		t.Errorf("%+v, %v", c, err)
	}
	w.send(&nats.Msg{Subject: schemas.LaterSubject(w.prefix, schemas.KeyOf(lane1, "job-9")), Data: data("job-9")})
	if c, err := w.Scheduled(t.Context(), schemas.KeyOf(lane1, "job-9")); err != nil || c != nil {
		t.Errorf("no schedule: %+v, %v", c, err)
	}
}

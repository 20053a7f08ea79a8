package natsq

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func eventOf(lane schemas.Lane, id string, status schemas.Status) schemas.Event {
	return schemas.NewEvent("chartpost", schemas.EventData{
		JobID: id, Operation: "documentreference-create", Class: lane.Class, Destination: lane.Destination, Status: status, Attempt: 1,
	}, time.Unix(1_800_000_000, 0))
}

var letter = worker.DeadLetter{
	Lane: lane1, Data: []byte(`{"id":"a"}`), Key: "dead/a/2/failed", JobID: "a", Status: schemas.StatusFailed,
	Reason:            schemas.Reason{Kind: "permanent", Code: "file_missing", Text: "the file is not there", Path: "/files/0"},
	PossibleDuplicate: true,
}

// last is the newest message under a subject.
func (w *world) last(stream, subject string) *jetstream.RawStreamMsg {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), w.stream(stream))
	if err != nil {
		w.t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(w.t.Context(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return msg
}

func TestWhatIsSaidTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.Outbox()
	event := eventOf(lane1, "a", schemas.StatusUploaded)
	at := time.Now().Add(time.Hour)
	for i := range 3 {
		if err := o.Tell(t.Context(), lane1, event); err != nil {
			t.Fatal(err)
		}
		if err := o.Bury(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		if err := o.Later(t.Context(), worker.Schedule{Lane: lane1, JobID: "a", Data: []byte("x"), Attempt: 2, At: at}); err != nil {
			t.Fatal(err)
		}
		if err := o.Resubmit(t.Context(), lane1, "a decision", worker.Line{}, []byte("x")); err != nil {
			t.Fatalf("submit %d: %v", i, err)
		}
	}
	for subject, stream := range map[string]string{
		"chartpost.events.live.good-health.uploaded": events, "chartpost.dead.live.good-health": dead,
		"chartpost.later.good-health.a": dueJobs, "chartpost.jobs.live.good-health": jobs,
	} {
		until(t, "it is stored", func() bool { return w.stored(stream, subject) > 0 })
		if n := w.stored(stream, subject); n != 1 {
			t.Errorf("%s holds %d, want 1", subject, n)
		}
	}
	told := w.last(events, "chartpost.events.>")
	got, err := schemas.DecodeEvent(told.Data)
	if err != nil || got.ID != event.ID || told.Header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("%v %v %v", got, told.Header, err)
	}
	buried := w.last(dead, "chartpost.dead.>")
	if !bytes.Equal(buried.Data, letter.Data) {
		t.Errorf("buried %q", buried.Data)
	}
	for name, want := range map[string]string{
		HeaderJobID: "a", HeaderStatus: "failed", HeaderReasonKind: "permanent", HeaderReasonCode: "file_missing",
		HeaderReasonText: "the file is not there", HeaderReasonPath: "/files/0", HeaderDuplicate: "true",
	} {
		if got := buried.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestBuryKeepsTheLargestJob(t *testing.T) {
	t.Parallel()
	const most = 4096
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, MaxPayload: most, LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	for name, c := range map[string]struct{ size, stored int }{
		"room for all headers":   {most - 1000, 1},
		"room for the id alone":  {most - 100, 1},
		"room for no header":     {most, 2}, // without an id a repeat cannot be known
		"no room for the status": {most - 300, 1},
	} {
		l := letter
		l.Lane.Destination = strings.ReplaceAll(name, " ", "-")
		l.Key, l.Data = "dead/"+name, bytes.Repeat([]byte("x"), c.size)
		l.Reason.Text = strings.Repeat("t", 200)
		for range 2 {
			if err := w.Outbox().Bury(t.Context(), l); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		subject := schemas.DeadSubject(w.prefix, l.Lane)
		if n := w.stored(dead, subject); n != c.stored {
			t.Errorf("%s: stored %d times, want %d", name, n, c.stored)
		}
		if got := w.last(dead, subject); !bytes.Equal(got.Data, l.Data) {
			t.Errorf("%s: %d bytes buried, want %d", name, len(got.Data), c.size)
		}
	}
	too := letter
	too.Data = make([]byte, most+1)
	if err := w.Outbox().Bury(t.Context(), too); err == nil {
		t.Error("a message too large for the server was buried")
	}
}

func TestLaterBringsTheJobBack(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]time.Duration{"soon": 12 * time.Second, "past": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			intake := w.take(patient, 16, calm)
			w.publish(lane1, 1)
			look(t, intake)
			at := time.Now().Add(in)
			if err := w.Outbox().Later(t.Context(), worker.Schedule{Lane: lane1, JobID: "a-1", Data: []byte("the job"), Attempt: 4, At: at}); err != nil {
				t.Fatal(err)
			}
			askFor(t, intake, lane1, 2, time.Hour)
			original := job(t, intake)
			holds(t, w, original, "a-1", true)
			ack(t, original)
			held, err := w.Outbox().Holds(t.Context(), original.Sequence(), original.Stored(), schemas.KeyOf(lane1, "a-1"))
			if early := time.Now().Before(at); err != nil || early && !held {
				t.Errorf("the schedule: %v, %v", held, err)
			}
			back := job(t, intake)
			if now := time.Now(); now.Before(at) {
				t.Errorf("%s early", at.Sub(now))
			}
			if back.Attempt(schemas.KeyOf(lane1, "a-1")) != 4 || back.Attempt(schemas.KeyOf(lane1, "other")) != 0 || back.Attempt(schemas.KeyOf(lane2, "a-1")) != 0 || string(back.Data()) != "the job" || back.Lane() != lane1 {
				t.Errorf("attempt %d, %q", back.Attempt(schemas.KeyOf(lane1, "a-1")), back.Data())
			}
			holds(t, w, back, "none", true)
			ack(t, back)
			holds(t, w, back, "a-1", false)
			until(t, "nothing is left", func() bool { return w.stored(jobs, ">")+w.stored(dueJobs, ">") == 0 })
		})
	}
}

// TestNewerScheduleReplacesTheOlder: one job comes, that of the newer, and the
// older leaves nothing that Holds could take for a waiting job.
func TestNewerScheduleReplacesTheOlder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	intake := w.take(patient, 16, calm)
	w.publish(lane1, 1)
	look(t, intake)
	askFor(t, intake, lane1, 3, time.Hour)
	ack(t, job(t, intake))
	at := time.Now().Add(10 * time.Second) // both are written before
	for _, s := range []worker.Schedule{
		{Lane: lane1, JobID: "a", Attempt: 2, At: at},
		{Lane: lane1, JobID: "a", Attempt: 3, At: at.Add(2 * time.Second)},
	} {
		if err := w.Outbox().Later(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if !time.Now().Before(at) {
		t.Fatal("the schedules were written too late; the test shows nothing")
	}
	back := job(t, intake)
	if back.Attempt(schemas.KeyOf(lane1, "a")) != 3 || time.Now().Before(at.Add(2*time.Second)) {
		t.Errorf("attempt %d came", back.Attempt(schemas.KeyOf(lane1, "a")))
	}
	ack(t, back)
	holds(t, w, back, "a", false)
	until(t, "nothing is left", func() bool { return w.stored(jobs, ">")+w.stored(dueJobs, ">") == 0 })
	if n := len(intake.Answers()); n != 0 {
		t.Errorf("%d more answers came", n)
	}
}

func holds(t *testing.T, w *world, copied worker.Delivery, id string, want bool) {
	t.Helper()
	if held, err := w.Outbox().Holds(t.Context(), copied.Sequence(), copied.Stored(), schemas.KeyOf(lane1, id)); err != nil || held != want {
		t.Fatalf("Holds(%d, %s): %v, %v", copied.Sequence(), id, held, err)
	}
}

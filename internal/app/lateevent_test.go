package app

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/outcome/told"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/schemas"
)

// lateDesk is a desk at which a job of the destination is settled while it is asked
// whether any waits there: its event is in the stream, and the lane is quiet.
type lateDesk struct {
	outcome.Desk

	settle   func()
	once     sync.Once
	accepted atomic.Int32
}

func (d *lateDesk) Quiet(ctx context.Context, destinations []string, since time.Time) (bool, error) {
	d.once.Do(d.settle)
	return d.Desk.Quiet(ctx, destinations, since)
}

func (d *lateDesk) Accept(context.Context, schemas.JobKey, schemas.Reason, *schemas.Evidence) error {
	d.accepted.Add(1)
	return nil
}

// The log of a job that a worker was cut off with looks like that of a held job, until the
// event tells of it that comes last.
func TestAnEventOfTheLastMomentCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	settings := w.followSettings(func(s *FollowSettings) {
		s.SourceIsOurs, s.Outcome.Environment = true, w.api.EnvironmentID("Development")
		s.Outcome.Destinations = map[string]string{"lab": platform.DestinationID("lab")}
		s.Times = outcome.Times{
			Tick: 20 * time.Millisecond, Before: 2 * time.Second, After: 100 * time.Millisecond, Settle: 100 * time.Millisecond, Again: 50 * time.Millisecond, LookLongest: 100 * time.Millisecond,
		}
	})
	unknown := func(id, code string) {
		lane := schemas.Lane{Class: schemas.Live, Destination: "lab"}
		data := schemas.EventData{
			JobID: id, Operation: "documentreference-create", Class: lane.Class, Destination: lane.Destination, Status: schemas.StatusUnknown, Attempt: 1,
			Reason: &schemas.Reason{Kind: "unknown_outcome", Code: code, Text: "x"},
		}
		if err := w.queue.Outbox().Tell(t.Context(), lane, schemas.NewEvent("chartpost", data, time.Now())); err != nil {
			t.Error(err)
		}
	}
	unknown("held", "redox_answer_timeout")
	w.api.Arrived(platform.Message{LogID: uuid.NewString(), Source: w.settings.Redox.SourceID, Destination: "lab", At: time.Now()})

	var open stack
	defer open.close(w.log.Logger())
	meters := settings.Telemetry.open("late", health.New(), &open, w.log.Logger()).Outcomes()
	f, err := settings.follower(t.Context(), w.queue, "late", meters, w.log.Logger(), &open)
	if err != nil {
		t.Fatal(err)
	}
	desk := &lateDesk{Desk: f.parts.Desk, settle: func() { unknown("cut", "interrupted_while_sending") }}
	f.parts.Desk = desk
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- f.tenure.Hold(ctx, func(ctx context.Context) error { return outcome.New(f.settings, f.parts).Run(ctx) })
	}()
	devtest.Until(t, "the window has an answer", patienceOfTests, func() bool {
		v, err := told.Read(t.Context(), w.queue)
		if err != nil {
			return false
		}
		code, _, _ := v.HeldNote(schemas.JobKey{Destination: "lab", ID: "held"})
		return code == outcome.CodeOpen || code == outcome.CodeFound
	})
	if n := desk.accepted.Load(); n != 0 {
		t.Error("the held job was accepted for the log of another")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

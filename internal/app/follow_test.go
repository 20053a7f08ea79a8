package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/schemas"
)

// longOutcomes makes the tests of the follower long: 2,000 jobs and a kill every 10 s,
// and 200 lost answers.
var longOutcomes = flag.Bool("outcomes.long", false, "2,000 jobs, a kill every 10 s, and 200 lost answers")

// followerRole makes this program able to be a follower that can be killed.
func followerRole() devstack.Role {
	return devstack.Role{Name: "follower", Serve: func(_ int, raw json.RawMessage) (devstack.Server, error) {
		var s FollowSettings
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		f := &followerProcess{ended: make(chan error, 1)}
		ctx, cancel := context.WithCancel(context.Background())
		f.cancel = cancel
		ready := make(chan struct{})
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		go func() { f.ended <- RunFollower(ctx, s, log, func() { close(ready) }) }()
		select {
		case <-ready:
			return f, nil
		case err := <-f.ended:
			cancel()
			return nil, errors.Join(errors.New("the follower did not start"), err)
		}
	}}
}

type followerProcess struct {
	cancel context.CancelFunc
	ended  chan error
}

func (f *followerProcess) URL() string  { return "http://127.0.0.1:1" }
func (f *followerProcess) Close() error { f.cancel(); return <-f.ended }

// followSettings are those of a brisk follower beside the world's worker.
func (w *world) followSettings(change func(*FollowSettings)) FollowSettings {
	w.t.Helper()
	s := w.following
	s.NATS, s.Redox, s.Budget, s.Telemetry = w.settings.NATS, w.settings.Redox, w.settings.Budget, w.settings.Telemetry
	s.Budget = Budget{Requests: 200_000, Window: time.Minute, Scope: "outcomes"}
	s.Term = time.Second
	s.Times = outcome.Times{Tick: 50 * time.Millisecond, Exceptions: 200 * time.Millisecond, Full: 300 * time.Millisecond, Slice: 6 * time.Hour}
	if change != nil {
		change(&s)
	}
	if err := s.Check(); err != nil {
		w.t.Fatal(err)
	}
	patient, cancel := context.WithTimeout(w.t.Context(), patienceOfTests)
	defer cancel()
	if _, err := w.queue.SetupOutcomes(patient, 1, 24*time.Hour, false); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// follower runs one in this process until the test ends, or until stop is called.
func (w *world) follower(s FollowSettings) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- RunFollower(ctx, s, w.log.Logger(), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		w.t.Fatalf("the follower did not start: %v", err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("the follower: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// sent is a message that was accepted without a worker: its event is published, and
// its log made.
type sent struct {
	id, destination string
	fhir            bool
	at              time.Time
}

// accept publishes the accepted event of a message, and makes its log.
func (w *world) accept(m sent) {
	w.t.Helper()
	arrived := platform.Message{LogID: uuid.NewString(), Source: w.settings.Redox.SourceID, Destination: m.destination, Model: "Notes", EventType: "New", At: m.at}
	w.api.Arrived(arrived)
	data := schemas.EventData{
		JobID: m.id, Operation: "notes-new", Class: schemas.Live, Destination: m.destination, Status: schemas.StatusAccepted, Attempt: 1,
		Receipt:     &schemas.Receipt{Status: 200, LogIDs: []string{arrived.LogID}, AcceptedAt: m.at},
		Correlation: map[string]string{"ward": "7"},
	}
	if m.fhir {
		data.Operation, data.Receipt.LogIDs = "documentreference-create", nil
	}
	lane := schemas.Lane{Class: schemas.Live, Destination: m.destination}
	if err := w.queue.Outbox().Tell(w.t.Context(), lane, schemas.NewEvent("chartpost", data, m.at)); err != nil {
		w.t.Fatal(err)
	}
}

// outcomes are the outcomes that were told of a job, in order.
func (w *world) outcomes(id string) string {
	events, _ := w.events.of(id)
	var all []string
	for _, e := range events {
		if e.Data.Status.Outcome() {
			all = append(all, string(e.Data.Status))
		}
	}
	return strings.Join(all, " ")
}

// Nothing of it is there unless it is asked for.
func TestOutcomesAreOffByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	stop := w.worker()
	w.publish(w.job("job-1", []schemas.File{w.put("a.pdf", document(1000, "a"))}))
	w.final("job-1")
	stop()
	for _, r := range w.sim.Requests() {
		if strings.HasPrefix(r.Path, "/platform/") {
			t.Errorf("a worker asked for %s", r.Path)
		}
	}
	if _, err := w.js.KeyValue(t.Context(), "CHARTPOST_OUTCOMES"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the bucket of outcomes: %v", err)
	}
	if _, err := w.queue.Outcomes(t.Context()); !errors.Is(err, natsq.ErrNoOutcomes) {
		t.Errorf("opening it: %v", err)
	}
}

// A failed message that somebody retries by hand is told of twice, with its evidence,
// and a follower with nothing to wait for asks Redox for nothing.
func TestAFailedMessageIsFollowedFurther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lab := uuid.NewString()
	w.api.Script(lab, platform.RetriedByHand(4*time.Second))
	w.follower(w.followSettings(nil))
	w.accept(sent{id: "job-1", destination: lab, at: time.Now()})
	failed := w.await("job-1", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusUndelivered })
	delivered := w.await("job-1", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusDelivered })
	for attempts, e := range map[int]schemas.Event{1: failed, 2: delivered} {
		log := w.api.Truths()[0].LogID
		if ev := e.Data.Evidence; ev == nil || ev.LogID != log || ev.Attempts != attempts || e.Data.Correlation["ward"] != "7" || e.Data.Attempt != 1 {
			t.Errorf("%s: %+v", e.ID, e.Data)
		}
	}
	empty := func() bool {
		n := 0
		bucket, err := w.queue.Outcomes(t.Context())
		if err == nil {
			err = bucket.All(t.Context(), "job.", func(string, []byte, uint64) { n++ })
		}
		return err == nil && n == 0
	}
	devtest.Until(t, "the job is forgotten", patienceOfTests, empty)
	cursor := func() outcome.Standing { return w.standing() }
	devtest.Until(t, "the follower is idle", patienceOfTests, func() bool { return cursor().Waiting+cursor().Failed == 0 && cursor().Requests > 0 })
	before := len(w.sim.Requests())
	saved := cursor().At
	devtest.Until(t, "the follower goes on", patienceOfTests, func() bool { return cursor().At.After(saved.Add(time.Second)) })
	if after := len(w.sim.Requests()); after > before+4 {
		t.Errorf("a follower that waits for nothing made %d requests", after-before)
	}
}

// standing is what the follower wrote of itself.
func (w *world) standing() outcome.Standing {
	bucket, err := w.queue.Outcomes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	value, ok, err := bucket.Get(w.t.Context(), "cursor")
	if err != nil || !ok {
		return outcome.Standing{}
	}
	var c outcome.Cursor
	if err := json.Unmarshal(value, &c); err != nil {
		w.t.Fatal(err)
	}
	return c.Standing
}

// plan is what becomes of the messages of a destination in the test below, and what is
// told of each.
type plan struct {
	script platform.Script
	want   string
}

// plans are for messages that were accepted an hour ago and earlier.
func plans() []plan {
	unknown := platform.Stays("quarantined")
	backfill := platform.Succeeds(1)
	backfill.Mode = platform.Backfill
	bare := platform.Succeeds(2)
	bare.Unrouted = true
	late := platform.Stays(platform.Failed)
	late.Visible = time.Minute
	return []plan{
		{platform.Succeeds(1), "delivered"}, {platform.Succeeds(5), "delivered"}, {platform.Stays(platform.Failed), "undelivered"},
		{platform.Stays(platform.Filtered), "filtered"}, {platform.Stays(platform.Pending), "stalled"}, {backfill, "delivered"},
		{late, "undelivered"}, {unknown, ""}, {bare, "delivered"}, {platform.PendsFor(10*time.Minute, platform.Succeeded), "delivered"},
	}
}

// Whatever happens to the follower, each outcome is told once, and none is told that is
// not true. Half of the messages have log ids; the others are counted in windows.
func TestEveryOutcomeIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	jobs, kills, between := 200, 4, 1500*time.Millisecond
	if *longOutcomes {
		jobs, kills, between = 2000, 12, 10*time.Second
	}
	want := map[string]string{}
	mapping := map[string]string{}
	var all []sent
	for i, p := range plans() {
		lab, clinic := uuid.NewString(), fmt.Sprintf("clinic-%d", i)
		mapping[clinic] = platform.DestinationID(clinic)
		w.api.Script(lab, p.script)
		w.api.Script(clinic, p.script)
		for n := range jobs / 20 {
			at := time.Now().Add(-time.Hour - time.Duration(n)*10*time.Minute)
			one, two := fmt.Sprintf("dm-%d-%d", i, n), fmt.Sprintf("fhir-%d-%d", i, n)
			want[one], want[two] = p.want, p.want
			if p.script.Unrouted {
				want[two] = "" // its log names no destination
			}
			all = append(all, sent{id: one, destination: lab, at: at}, sent{id: two, destination: clinic, fhir: true, at: at})
		}
	}
	settings := w.followSettings(func(s *FollowSettings) {
		s.SourceIsOurs, s.Outcome.Destinations = true, mapping
		s.Times.Look, s.Times.Again = time.Minute, time.Millisecond
	})
	p, err := devstack.StartProcess(t.Context(), "follower", settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, m := range all {
		w.accept(m)
		if i%(len(all)/kills) == len(all)/kills-1 {
			seen := w.toldSoFar()
			deadline := time.Now().Add(between)
			devtest.Until(t, "the follower tells something", patienceOfTests, func() bool { return w.toldSoFar() > seen || time.Now().After(deadline) })
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := p.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// In the order of sending only the newest are missing.
	limit, missing := patienceOfTests, len(want)
	if *longOutcomes {
		limit *= 2
	}
	t.Cleanup(func() { t.Logf("%d outcomes were told, %d are missing", w.toldSoFar(), missing) })
	devtest.Until(t, "every outcome is told", limit, func() bool {
		missing = 0
		for id, outcomes := range want {
			if outcomes != "" && w.outcomes(id) != outcomes {
				missing++
			}
		}
		return missing == 0
	})
	for id, outcomes := range want {
		if got := w.outcomes(id); got != outcomes {
			t.Errorf("of %s was told %q, want %q", id, got, outcomes)
		}
	}
	w.noEventTwice(t)
}

func (w *world) toldSoFar() int {
	w.events.mu.Lock()
	defer w.events.mu.Unlock()
	n := 0
	for _, e := range w.events.all {
		if e.Data.Status.Outcome() {
			n++
		}
	}
	return n
}

func (w *world) noEventTwice(t *testing.T) {
	t.Helper()
	w.events.mu.Lock()
	defer w.events.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range w.events.all {
		if seen[e.ID] {
			t.Errorf("%s is in the stream twice", e.ID)
		}
		seen[e.ID] = true
	}
	if len(seen) == 0 || !slices.ContainsFunc(w.events.all, func(e schemas.Event) bool { return e.Data.Status.Outcome() }) {
		t.Error("no outcome was told")
	}
}

package natsq

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for _, name := range []string{"", "a.b", "a b", "*", "a>", "ä", strings.Repeat("a", 49)} {
		_, err := w.Subscribe(ctx, name, EventSelection{}, Beginning{})
		if err == nil || w.Unsubscribe(ctx, name) == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	final := EventSelection{Statuses: []schemas.Status{schemas.StatusAccepted, schemas.StatusFailed}}
	fifth, err := w.fromLeader(ctx, w.stream(events), leaderGet{Sequence: 5})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of   EventSelection
		at   Beginning
		want uint64
	}{
		"all": {want: 7}, "final": {of: final, want: 4}, "new": {at: Beginning{New: true}}, "since": {of: final, at: Beginning{Since: fifth.Time}, want: 2},
		"lane_1-a": {of: EventSelection{Class: lane1.Class, Destination: lane1.Destination}, want: 5},
	} {
		made, err := w.Subscribe(ctx, name, c.of, c.at)
		again, errAgain := w.Subscribe(ctx, name, c.of, c.at)
		if err != nil || errAgain != nil || !made || again {
			t.Errorf("%s: made %t %v, then %t %v", name, made, err, again, errAgain)
		}
		if _, err := w.Subscribe(ctx, name, EventSelection{Destination: "other"}, c.at); !errors.Is(err, ErrOtherSubscription) {
			t.Errorf("%s: other events: %v", name, err)
		}
		consumer, err := w.js.Consumer(ctx, w.stream(events), name)
		if err != nil {
			t.Fatal(err)
		}
		info := consumer.CachedInfo()
		if info.NumPending != c.want || info.Config.InactiveThreshold != 0 || info.Config.DeliverSubject != "" || info.Config.MemoryStorage {
			t.Errorf("%s: %d wait, want %d; %+v", name, info.NumPending, c.want, info.Config)
		}
	}
	// A consumer of a watch is none.
	if _, err := w.js.CreateConsumer(ctx, w.stream(events), jetstream.ConsumerConfig{}); err != nil {
		t.Fatal(err)
	}
	var read []string
	if err := w.ReadSubscription(ctx, "final", func(e schemas.Event) bool { read = append(read, e.Data.JobID); return len(read) < 3 }); err != nil || strings.Join(read, " ") != "ab a a" {
		t.Errorf("%v: read %v", err, read)
	}
	w.flush()
	until(t, "two are acknowledged", func() bool {
		for _, s := range w.subscriptions(ctx) {
			if s.Name == "final" && s.Unacknowledged <= 2 && !s.LastActive.IsZero() {
				return true
			}
		}
		return false
	})
	var names []string
	for _, s := range w.subscriptions(ctx) {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "all final lane_1-a new since" {
		t.Errorf("listed are %s", got)
	}
	if err := w.Unsubscribe(ctx, "final"); err != nil {
		t.Error(err)
	}
	if err := w.Unsubscribe(ctx, "final"); !errors.Is(err, ErrNoSubscription) {
		t.Errorf("a second removal: %v", err)
	}
	if err := w.ReadSubscription(ctx, "final", func(schemas.Event) bool { return true }); !errors.Is(err, ErrNoSubscription) {
		t.Errorf("reading what is not there: %v", err)
	}
}

func (w *world) subscriptions(ctx context.Context) []Subscription {
	w.t.Helper()
	all, err := w.Subscriptions(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestASubscriptionGoesOnWhereItWas: what was not acknowledged comes again, and what
// was removed meanwhile ends the reading.
func TestASubscriptionGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := w.Subscribe(ctx, "one", EventSelection{Class: lane2.Class}, Beginning{}); err != nil {
		t.Fatal(err)
	}
	reading, stop := context.WithCancel(ctx)
	came, ended := make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- w.ReadSubscription(reading, "one", func(e schemas.Event) bool { came <- e.Data.JobID; return true })
	}()
	for _, want := range []string{"a", "c"} {
		if got := <-came; got != want {
			t.Errorf("%s came, want %s", got, want)
		}
	}
	w.say(lane2, "later", schemas.StatusAccepted)
	if got := <-came; got != "later" {
		t.Errorf("%s came, want later", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	go func() {
		ended <- w.ReadSubscription(ctx, "one", func(e schemas.Event) bool { came <- e.Data.JobID; return true })
	}()
	w.say(lane2, "last", schemas.StatusAccepted)
	if got := <-came; got != "last" {
		t.Errorf("%s came, want last", got)
	}
	if err := w.Unsubscribe(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrNoSubscription) && !errors.Is(err, jetstream.ErrConsumerDeleted) {
		t.Errorf("the reading of what was removed ended with %v", err)
	}
}

func TestWatchLive(t *testing.T) {
	t.Parallel()
	w := eventWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	started := func() error {
		w.say(lane1, "other", schemas.StatusAccepted)
		w.say(lane2, "x", schemas.StatusUploaded)
		w.say(lane2, "y", schemas.StatusAccepted)
		return nil
	}
	var got []string
	err := w.WatchLive(ctx, EventSelection{Class: lane2.Class}, started, func(e schemas.Event) bool {
		got = append(got, e.Data.JobID)
		return len(got) < 2
	})
	if err != nil || strings.Join(got, " ") != "x y" {
		t.Errorf("%v: %v", err, got)
	}
}

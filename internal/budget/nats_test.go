package budget

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// counted counts the operations on a store.
type counted struct {
	Store
	reads, writes, lost atomic.Int64
}

func (c *counted) Read(ctx context.Context) ([]byte, uint64, time.Time, error) {
	c.reads.Add(1)
	return c.Store.Read(ctx)
}

func (c *counted) Write(ctx context.Context, value []byte, revision uint64) (uint64, bool, error) {
	c.writes.Add(1)
	next, done, err := c.Store.Write(ctx, value, revision)
	if err == nil && !done {
		c.lost.Add(1)
	}
	return next, done, err
}

// client is a worker with a connection of its own.
type client struct {
	*Budget
	store *counted
	stop  func()
	mu    sync.Mutex
	sent  []time.Time
}

// newClient connects to the server at url.
func newClient(t *testing.T, url string, settings Settings) *client {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	conn, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost", Name: settings.Worker, Options: []nats.Option{nats.Timeout(20 * time.Second)}}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	patient, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := conn.Setup(patient, natsq.Layout{Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: time.Minute}); err != nil {
		t.Fatal(err)
	}
	record, err := conn.Budget(t.Context(), "10.0.0.1, west")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{store: &counted{Store: record}}
	if c.Budget, err = New(settings, c.store, time.Now, rand.Float64, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	c.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(c.stop)
	return c
}

// spend takes requests of a class in some lines until the client stops.
func (c *client) spend(class Class, lines int) {
	for range lines {
		go func() {
			for c.Take(context.Background(), class, 1) == nil {
				c.mu.Lock()
				c.sent = append(c.sent, time.Now())
				c.mu.Unlock()
			}
		}()
	}
}

func (c *client) times() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Time(nil), c.sent...)
}

func fleetOn(t *testing.T, url string, settings Settings) []*client {
	var fleet []*client
	for i := range 3 {
		settings.Worker = fmt.Sprintf("w%d", i)
		fleet = append(fleet, newClient(t, url, settings))
	}
	return fleet
}

func sentBy(fleet []*client) (n int) {
	for _, c := range fleet {
		n += len(c.times())
	}
	return n
}

// TestWhatItCostsOnNATS counts the operations of three busy workers, and sees
// that the record says to the last request what they sent.
func TestWhatItCostsOnNATS(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	settings := fiveMinutes(0.2)
	fleet := fleetOn(t, server.URL(), settings)
	began := time.Now()
	for _, c := range fleet {
		c.spend(Backfill, 20)
	}
	devtest.Until(t, "some hundred requests are made", 5*time.Minute, func() bool { return sentBy(fleet) >= 200 })
	took := time.Since(began)
	for i, c := range fleet {
		ops := float64(c.store.reads.Load()+c.store.writes.Load()) / took.Seconds()
		t.Logf("worker %d: %d requests in %s, %.2f operations a second, %d of %d writes lost to others",
			i, len(c.times()), took.Round(time.Millisecond), ops, c.store.lost.Load(), c.store.writes.Load())
		if ops > 4 {
			t.Errorf("worker %d: %.2f operations a second", i, ops)
		}
	}
	for _, c := range fleet {
		c.stop()
	}
	r := recordOn(t, fleet[0].store.Store, settings)
	live, backfill := r.sums()
	if got, want := live+backfill-r.presumed(), sentBy(fleet); got != want || r.out() != 0 {
		t.Errorf("the record says %d requests and %d permits, %d were made", got, r.out(), want)
	}
	state, known, err := Look(t.Context(), settings, fleet[0].store.Store, time.Now())
	if err != nil || !known || state.Workers != 0 || state.Used() > testLimit || state.Backfill < 200 {
		t.Errorf("%+v, %v, %v", state, known, err)
	}
}

func recordOn(t *testing.T, store Store, settings Settings) *record {
	t.Helper()
	value, _, _, err := store.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := decode(value, rulesOf(settings))
	if err != nil || r == nil {
		t.Fatal("no record", err)
	}
	return r
}

// TestAWindowOnNATS counts every window of a short one in real time, with the
// server killed in between.
func TestAWindowOnNATS(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	// A request is noted when its goroutine runs again, which may take a while.
	settings := Settings{Requests: 1000, Window: 10 * time.Second, Travel: 10 * time.Second}
	fleet := fleetOn(t, server.URL(), settings)
	for _, c := range fleet {
		c.spend(Backfill, 20)
		c.spend(Live, 2)
	}
	enough := func(n int) {
		devtest.Until(t, fmt.Sprint(n, " requests are made"), 5*time.Minute, func() bool { return sentBy(fleet) >= n })
	}
	enough(600)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	enough(sentBy(fleet) + 600)
	var s sim
	s.t, s.settings = t, settings
	for _, c := range fleet {
		c.stop()
		s.arrivals[Live] = append(s.arrivals[Live], c.times()...)
	}
	t.Logf("the fullest window held %d of %d", s.judge(settings.Requests), settings.Requests)
}

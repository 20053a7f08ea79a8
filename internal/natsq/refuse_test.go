package natsq

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// refusal is a server that can be brought to refuse and to relent.
type refusal struct {
	*world
	refuse, relent func()
	// text is what Troubles says of it; forgets tells that it says so no more
	// as soon as what was refused has worked.
	text    string
	forgets bool
}

// startServer runs a server inside this process.
func startServer(t *testing.T, options server.Options) *server.Server {
	t.Helper()
	options.Host, options.JetStream, options.NoSigs, options.NoLog = "127.0.0.1", true, true, true
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	if options.StoreDir == "" {
		options.StoreDir = t.TempDir()
	}
	s, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("not ready")
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// divided starts a server with two users: one who has set it up, whose world it
// gives, and one who may not publish to some subjects, which can be changed.
func divided(t *testing.T, deny ...string) (admin, poor *world, reload func(deny ...string)) {
	t.Helper()
	users := func(deny []string) []*server.User {
		user := &server.User{Username: "poor", Password: "p"}
		if len(deny) > 0 {
			user.Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: deny}}
		}
		return []*server.User{{Username: "admin", Password: "a"}, user}
	}
	dir := t.TempDir()
	s := startServer(t, server.Options{StoreDir: dir, Users: users(deny)})
	reload = func(deny ...string) {
		must(t, s.ReloadOptions(&server.Options{
			Host: "127.0.0.1", Port: s.Addr().(*net.TCPAddr).Port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, Users: users(deny),
		}))
	}
	return joinWorld(t, s.ClientURL(), nats.UserInfo("admin", "a")), dial(t, s.ClientURL(), nats.UserInfo("poor", "p")), reload
}

// denial takes the permission to publish events away from a user who stays
// connected.
func denial(t *testing.T) refusal {
	_, poor, reload := divided(t)
	return refusal{
		world: poor, refuse: func() { reload("chartpost.events.>") }, relent: func() { reload() },
		text: "no permission to publish to chartpost.events.>",
	}
}

// fullStore fills the server's storage with something else.
func fullStore(t *testing.T) refusal {
	s := startServer(t, server.Options{JetStreamMaxStore: 1 << 20})
	w := joinWorld(t, s.ClientURL())
	return refusal{
		world: w, text: "publishing events: JetStream error 10023: insufficient resources", forgets: true,
		refuse: func() {
			_, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FILLER", Subjects: []string{"filler"}})
			must(t, err)
			for err == nil {
				_, err = w.js.Publish(t.Context(), "filler", make([]byte, 64<<10))
			}
			for err = nil; err == nil; {
				_, err = w.js.Publish(t.Context(), "filler", nil)
			}
		},
		relent: func() { must(t, w.js.DeleteStream(t.Context(), "FILLER")) },
	}
}

// fullStream gives the events a limit that refuses what is new.
func fullStream(t *testing.T) refusal {
	w := newWorld(t)
	limitTo := func(bytes int64, discard jetstream.DiscardPolicy) {
		stream, err := w.js.Stream(t.Context(), w.stream(events))
		must(t, err)
		config := stream.CachedInfo().Config
		config.MaxBytes, config.Discard = bytes, discard
		_, err = w.js.UpdateStream(t.Context(), config)
		must(t, err)
	}
	return refusal{
		world: w, text: "publishing events: JetStream error 10077: maximum bytes exceeded", forgets: true,
		refuse: func() { limitTo(1, jetstream.DiscardNew) }, relent: func() { limitTo(-1, jetstream.DiscardOld) },
	}
}

// noJetStream turns JetStream off under a connection that stands.
func noJetStream(t *testing.T) refusal {
	dir := t.TempDir()
	s := startServer(t, server.Options{StoreDir: dir})
	return refusal{
		world: joinWorld(t, s.ClientURL()), text: "publishing events: nobody answers", forgets: true,
		refuse: func() { must(t, s.DisableJetStream()) },
		relent: func() { must(t, s.EnableJetStream(&server.JetStreamConfig{StoreDir: dir})) },
	}
}

// refusedFor is as long as a publish goes on at the least.
const refusedFor = 30 * time.Second

// mostSent is how many messages a second one refused publish may cost.
const mostSent = 3

// TestARefusalIsToldAndOutlasted publishes one event against each server that
// refuses it for half a minute. They are refused at the same time, since all of
// it is waiting.
func TestARefusalIsToldAndOutlasted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	refused := map[string]*attempt{}
	for name, arrange := range map[string]func(*testing.T) refusal{
		"denied": denial, "full store": fullStore, "full stream": fullStream, "no JetStream": noJetStream,
	} {
		refused[name] = attemptOn(t, ctx, arrange(t))
	}
	for name, a := range refused {
		t.Run(name, a.check)
	}
}

// attempt is a publish that is refused.
type attempt struct {
	refusal
	began time.Time
	sent  uint64
	told  chan error
}

func attemptOn(t *testing.T, ctx context.Context, r refusal) *attempt {
	t.Helper()
	if got := r.Troubles(); len(got) > 0 {
		t.Fatalf("trouble before there is any: %v", got)
	}
	r.refuse()
	until(t, "the connection stands", r.Connected)
	a := &attempt{refusal: r, began: time.Now(), sent: r.nc.Stats().OutMsgs, told: make(chan error, 1)}
	go func() { a.told <- r.Outbox().Tell(ctx, lane1, eventOf(lane1, "job-canary", schemas.StatusUploaded)) }()
	return a
}

func (a *attempt) check(t *testing.T) {
	until(t, "the trouble is known", func() bool { return strings.Contains(fmt.Sprint(a.Troubles()), a.text) })
	until(t, "it is tried for long", func() bool { return time.Since(a.began) > refusedFor })
	sent, most := a.nc.Stats().OutMsgs-a.sent, uint64(10+mostSent*time.Since(a.began).Seconds())
	t.Logf("%d messages sent in %s", sent, time.Since(a.began).Round(time.Second))
	if sent > most || sent < 4 {
		t.Errorf("%d messages were sent, want 4 to %d", sent, most)
	}
	select {
	case err := <-a.told:
		t.Fatalf("it has ended: %v", err)
	default:
	}
	if said := fmt.Sprint(a.Troubles()); strings.Contains(said, "canary") || strings.Contains(said, "good-health") {
		t.Errorf("not for anybody: %s", said)
	}
	a.relent()
	must(t, <-a.told)
	if n := a.stored(events, ">"); n != 1 {
		t.Errorf("%d events are stored", n)
	}
	const warning, over = `"msg":"nats does not take what is sent, or does not answer; trying on","what":"publishing events"`, `"msg":"nats works again","what":"publishing events"`
	most = 3 + uint64(time.Since(a.began).Minutes())
	if said := a.said.String(); strings.Count(said, over) != 1 || strings.Count(said, warning) < 1 || strings.Count(said, warning) > int(most) {
		t.Errorf("the log says: %s", said)
	}
	if got := a.Troubles(); a.forgets && len(got) > 0 {
		t.Errorf("trouble after its end: %v", got)
	}
}

// TestJetStreamThatDoesNotAnswer is noticed by a process that has nothing to do.
func TestJetStreamThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := noJetStream(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.attend(ctx, 100*time.Millisecond, 500*time.Millisecond) }()
	r.refuse()
	until(t, "the trouble is known", func() bool {
		return strings.Contains(fmt.Sprint(r.Troubles()), "stream KV_CHARTPOST_CONTROL, stream KV_CHARTPOST_LEDGER: no answer in time")
	})
	if !r.Connected() || r.Alive() != nil {
		t.Error("the connection was lost")
	}
	r.relent()
	until(t, "it is over", func() bool { return len(r.Troubles()) == 0 })
	cancel()
	<-ended
}

// TestTheLedgerOnAFullStore: the record of a job is the first that fails.
func TestTheLedgerOnAFullStore(t *testing.T) {
	t.Parallel()
	r := fullStore(t)
	bucket, err := r.Ledger(t.Context())
	must(t, err)
	r.refuse()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	wrote := make(chan error, 1)
	go func() {
		wrote <- retry.Do(ctx, hopeless, func(ctx context.Context) error { _, err := bucket.Create(ctx, "job-canary", []byte("x")); return err })
	}()
	until(t, "the trouble is known", func() bool {
		return strings.Contains(fmt.Sprint(r.Troubles()), "writing the ledger: JetStream error 10023: insufficient resources")
	})
	r.relent()
	must(t, <-wrote)
	if got := r.Troubles(); len(got) > 0 {
		t.Errorf("trouble after its end: %v", got)
	}
	// A "no" is an answer.
	for range 2 {
		bucket.Create(ctx, "job-canary", []byte("x"))
		bucket.Update(ctx, "job-canary", []byte("x"), 99)
		bucket.Get(ctx, "none")
	}
	if len(r.troubles.tries) > 0 {
		t.Errorf("%v", r.troubles.tries)
	}
}

// TestRefusedCredentialsAreTriedOn: they may be mended at the server.
func TestRefusedCredentialsAreTriedOn(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), devtest.Port(t)
	run := func(password string) *server.Server {
		return startServer(t, server.Options{Port: port, StoreDir: dir, Users: []*server.User{{Username: "u", Password: password}}})
	}
	first := run("right")
	w := dial(t, first.ClientURL(), nats.UserInfo("u", "right"))
	first.Shutdown()
	first.WaitForShutdown()
	second := run("wrong")
	refused := func() int { return strings.Count(w.said.String(), "uthorization") }
	until(t, "they are refused", func() bool { return refused() > 0 })
	until(t, "they are refused often", func() bool { return w.nc.Stats().Reconnects > 3 })
	must(t, w.Alive())
	if got := fmt.Sprint(w.Troubles()); !strings.Contains(got, "not connected") || !strings.Contains(got, "authorization violation") {
		t.Errorf("%s", got)
	}
	if n := refused(); n > 3 {
		t.Errorf("the log says it %d times", n)
	}
	second.Shutdown()
	second.WaitForShutdown()
	run("right")
	until(t, "it is connected again and says so", func() bool {
		return w.Connected() && !strings.Contains(fmt.Sprint(w.Troubles()), "not connected")
	})
	must(t, w.Close())
	if w.Alive() == nil {
		t.Error("alive after its end")
	}
}

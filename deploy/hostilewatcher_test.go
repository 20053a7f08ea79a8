package deploy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// aimed are subjects at which a reader aims the answers of the server.
var aimed = []string{
	takeAJob, "$JS.API.STREAM.PURGE.CHARTPOST_EVENTS", "$JS.API.STREAM.PURGE.CHARTPOST_JOBS", "$JS.API.STREAM.DELETE.CHARTPOST_JOBS",
	"$JS.API.CONSUMER.DELETE.CHARTPOST_JOBS.live-good-health", "$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health",
	"$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0", "$JS.API.CONSUMER.DELETE.CHARTPOST_EVENTS.outcomes", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_EVENTS.outcomes",
	"chartpost.jobs.live.good-health", "chartpost.due.live.good-health", "chartpost.lanes", "chartpost.events.live.good-health.accepted",
	"$KV.CHARTPOST_CONTROL.tenure", "$KV.CHARTPOST_LEDGER.good-health.one", "_R_.one",
}

const (
	takeAJob  = "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"
	pullEvent = "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_EVENTS." + subscription
)

// watched is a queue with jobs in a lane that nobody has taken, and events.
type watched struct {
	s  *site
	js jetstream.JetStream
}

func newWatched(s *site, events int) *watched {
	s.t.Helper()
	s.as(operator, 0, "setup")
	s.as(operator, 0, "events", "subscribe", subscription)
	w := &watched{s, s.stream(worker)}
	_, err := w.js.CreateConsumer(s.t.Context(), "CHARTPOST_JOBS", jetstream.ConsumerConfig{
		Durable: "live-good-health", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "chartpost.jobs.live.good-health",
	})
	must(s.t, err)
	for range 5 {
		_, err := s.stream(submitter).Publish(s.t.Context(), "chartpost.jobs.live.good-health", []byte("{}"))
		must(s.t, err)
	}
	for range events {
		_, err := w.js.Publish(s.t.Context(), "chartpost.events.live.good-health.accepted", []byte(`{"batch":3}`))
		must(s.t, err)
	}
	return w
}

// state is what an attack would change: jobs, those in hand, events, and records.
func (w *watched) state() string {
	w.s.t.Helper()
	lane, err := w.js.Consumer(w.s.t.Context(), "CHARTPOST_JOBS", "live-good-health")
	must(w.s.t, err)
	i := lane.CachedInfo()
	text := fmt.Sprintf("lane: %d wait, %d in hand, %d delivered, %d asks;", i.NumPending, i.NumAckPending, i.Delivered.Consumer, i.NumWaiting)
	for _, name := range []string{"JOBS", "DUE", "EVENTS", "DEAD"} {
		stream, err := w.js.Stream(w.s.t.Context(), "CHARTPOST_"+name)
		must(w.s.t, err)
		text += fmt.Sprintf(" %s %d", name, stream.CachedInfo().State.LastSeq)
	}
	return text
}

// TestAHostileWatcherTakesNoJob: what a watcher sends is answered to itself, to
// whatever subject it aims the answer.
func TestAHostileWatcherTakesNoJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	w := newWatched(s, 200)
	before := w.state()
	nc := s.connect(watcher, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	for _, reply := range aimed {
		for _, body := range []string{"", "1", `{"batch":2,"no_wait":true}`, `{"batch":1,"expires":1000000000,"idle_heartbeat":100000000}`} {
			must(t, nc.PublishRequest(pullEvent, reply, []byte(body)))
		}
	}
	// The server takes pulls in their order: this one comes after all.
	_, err := nc.Request(pullEvent, []byte(`{"batch":1,"expires":5000000000}`), patience)
	must(t, err)
	if after := w.state(); after != before {
		t.Errorf("pulls: %s, before %s", after, before)
	}

	// The acknowledgements, and those that ask for the next one.
	for _, reply := range aimed {
		msg, err := nc.Request(pullEvent, []byte(`{"batch":1,"expires":5000000000}`), patience)
		must(t, err)
		if !strings.HasPrefix(msg.Reply, "$JS.ACK.CHARTPOST_EVENTS."+subscription+".") {
			t.Fatalf("an event came with the reply subject %q", msg.Reply)
		}
		for _, body := range []string{"+NXT", `+NXT {"batch":3}`, "+WPI", "-NAK", "+ACK"} {
			must(t, nc.PublishRequest(msg.Reply, reply, []byte(body)))
		}
		// An acknowledgement that is answered comes after all.
		last, err := nc.Request(pullEvent, []byte(`{"batch":1,"expires":5000000000}`), patience)
		must(t, err)
		_, err = nc.Request(last.Reply, []byte("+ACK"), patience)
		must(t, err)
	}
	if after := w.state(); after != before {
		t.Errorf("acknowledgements: %s, before %s", after, before)
	}
}

// TestAHostileWatcherMakesNoConsumer: one that pushes would deliver with the server's
// rights, so also into a lane.
func TestAHostileWatcherMakesNoConsumer(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	w := newWatched(s, 5)
	before := w.state()
	nc := s.connect(watcher, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	for n, deliver := range aimed {
		body := fmt.Sprintf(`{"stream_name":"CHARTPOST_EVENTS","config":{"name":"push-%d","durable_name":"push-%d","deliver_subject":%q,"ack_policy":"none","deliver_policy":"all"}}`, n, n, deliver)
		for _, subject := range []string{
			fmt.Sprintf("$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS.push-%d", n), fmt.Sprintf("$JS.API.CONSUMER.DURABLE.CREATE.CHARTPOST_EVENTS.push-%d", n),
			"$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS." + subscription, "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS." + subscription + ".chartpost.events.>",
		} {
			must(t, nc.PublishRequest(subject, nc.NewInbox(), []byte(body)))
		}
	}
	// The server takes requests in their order: this one comes after all.
	_, err := nc.Request(pullEvent, []byte(`{"batch":1,"expires":5000000000}`), patience)
	must(t, err)
	if after := w.state(); after != before {
		t.Errorf("%s, before %s", after, before)
	}
	stream, err := w.js.Stream(t.Context(), "CHARTPOST_EVENTS")
	must(t, err)
	if n := stream.CachedInfo().State.Consumers; n != 1 {
		t.Errorf("there are %d consumers of the events, want the watcher's own", n)
	}
}

// TestAPullInTheStreamsAccountTakesAJob is why watchers have an account of their own:
// a user of CHARTPOST aims the answer of a pull at a lane, and takes a job that it has
// no right to take.
func TestAPullInTheStreamsAccountTakesAJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	w := newWatched(s, 5)
	nc := s.connect(operator, nats.Timeout(patience))
	must(t, nc.PublishRequest(pullEvent, takeAJob, []byte("1")))
	must(t, nc.Flush())
	devtest.Until(t, "a job is taken", patience, func() bool {
		return strings.Contains(w.state(), "1 delivered") || strings.Contains(w.state(), "3 delivered")
	})
}

package natsq

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestClock: an answer bounds the server's time by how long it took; within that,
// what was known stands, and goes on by itself.
func TestClock(t *testing.T) {
	local := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return local.Add(time.Duration(seconds * float64(time.Second))) }
	hour := func(seconds float64) time.Time { return at(seconds).Add(time.Hour) }
	c := &clock{}
	if _, known := c.at(local); known {
		t.Error("known before any answer")
	}
	c.saw(time.Time{}, at(0), at(1))
	if _, known := c.at(local); known {
		t.Error("known after an answer without a time")
	}
	for i, s := range []struct {
		server       time.Time
		began, ended float64
		// want is what it is 10 s after the end of the answer.
		want time.Time
	}{
		{hour(0), 0, 2, hour(11)},       // half of what it took
		{hour(2.99), 2, 2.01, hour(13)}, // a quick answer tells more
		{hour(5), 3, 9, hour(20)},       // a slow one contradicts nothing: what was known stands
		{hour(100), 10, 11, hour(110)},  // the server's clock was set
		{at(20), 20, 20.5, at(30.5)},    // far back
		{at(21.5), 21, 21.2, at(31.5)},  // not earlier than it says
	} {
		c.saw(s.server, at(s.began), at(s.ended))
		got, known := c.at(at(s.ended + 10))
		if off := got.Sub(s.want).Abs(); !known || off > 200*time.Millisecond {
			t.Errorf("answer %d: %s, %t, want %s", i+1, got, known, s.want)
		}
	}
}

// TestClocksApart: a server whose time is another's is believed, and said to be
// so; the clock of one that agrees is no trouble.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead   time.Duration
		trouble bool
	}{
		"agreeing": {0, false}, "ahead": {2 * time.Hour, true}, "behind": {-2 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := dial(t, liar(t, c.ahead))
			if _, known := w.Now(); known {
				t.Error("known before anything was asked")
			}
			var asked []error
			for _, v := range w.visit(t.Context()) {
				asked = append(asked, v.err)
			}
			now, known := w.Now()
			if off := now.Sub(time.Now().Add(c.ahead)).Abs(); !known || off > 2*apiTimeout {
				t.Fatalf("%s, %t: off by %s; asked: %v", now, known, off, asked)
			}
			if got := fmt.Sprint(w.Troubles()); strings.Contains(got, "clocks") != c.trouble {
				t.Errorf("troubles: %s", got)
			}
			if said := w.said.String(); strings.Contains(said, "clocks") != c.trouble {
				t.Error(said)
			}
		})
	}
}

// liar starts a server without JetStream, beside which somebody answers for all
// streams with a time of their own.
func liar(t *testing.T, ahead time.Duration) (url string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("not ready")
	}
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(connectTime))
	must(t, err)
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe("$JS.API.STREAM.INFO.>", func(msg *nats.Msg) {
		answer, err := json.Marshal(jetstream.StreamInfo{TimeStamp: time.Now().Add(ahead)})
		if err == nil {
			err = msg.Respond(answer)
		}
		if err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	must(t, nc.Flush())
	return s.ClientURL()
}

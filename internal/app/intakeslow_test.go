//go:build !race

// These tests measure delays. So they run alone, and without the race detector, which makes
// this process ten times as slow as an intake is: see make test.

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
)

// attacksPerSecond is how many requests an attacker sends: as many as two callers may.
const attacksPerSecond = 400

// TestAttacksSlowNoOther measures how long the jobs of a caller take alone and beside each
// attack, in turns. docs/intake.md has the figures of a quiet machine.
func TestAttacksSlowNoOther(t *testing.T) {
	w := newWorld(t, "")
	p := newProvider(t)
	d := w.intake(func(s *IntakeSettings) { s.askWho(p); s.Limits.Rate = 200 })
	file := w.put("a.pdf", document(1000, "a"))
	mine, others := p.token("caller-a", "clinic-a"), p.token("caller-b", "clinic-b")
	unknown := newProvider(t).token("caller-a", "clinic-a")
	job := encoded(t, w.job("x", []schemas.File{file}, to("clinic-a")))
	deep := []byte(`{"id":"x","message":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}")
	with := func(data []byte, who []string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "PUT", d.url+"/v1/jobs/x", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(who[0], who[1])
		return r
	}
	send := func(data []byte, who []string) func() {
		return func() {
			if resp, err := d.client.Do(with(data, who)); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	}
	var own schemas.File
	resp := d.do("POST", "/v1/files?name=a.pdf", document(1000, "b"), others...)
	if err := json.Unmarshal([]byte(readAll(t, resp)), &own); err != nil || resp.StatusCode != 201 {
		t.Fatal(resp.StatusCode, err)
	}
	resp.Body.Close()
	n := 0
	turn := time.NewTicker(time.Second / 100) // half of what a caller may
	defer turn.Stop()
	measure := func() (took []time.Duration) {
		for range 20 {
			<-turn.C
			n++
			data := encoded(t, w.job(fmt.Sprintf("mine-%d", n), []schemas.File{own}, to("clinic-b")))
			r := with(data, others)
			r.URL.Path = fmt.Sprintf("/v1/jobs/mine-%d", n)
			began := time.Now()
			resp, err := d.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, resp)
			resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
			took = append(took, time.Since(began))
		}
		return took
	}
	measure() // its connections are open
	for name, attack := range map[string]func(){
		"a token of another issuer": send(job, unknown),
		"no token":                  send(job, []string{"Authorization", "Bearer x"}),
		"another's destination":     send(encoded(t, w.job("x", []schemas.File{file}, to("clinic-b"))), mine),
		"a job that is refused":     send([]byte("{}"), mine),
		"deep JSON":                 send(deep, mine),
		"more than it may":          send(job, mine),
		"smuggling": func() {
			d.answers("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}")
		},
	} {
		var alone, beside []time.Duration
		for range 3 {
			alone = append(alone, measure()...)
			stop := attackers(attack)
			beside = append(beside, measure()...)
			stop()
		}
		slices.Sort(alone)
		slices.Sort(beside)
		before, during := alone[len(alone)/2], beside[len(beside)/2]
		t.Logf("%s: a job of another takes %s alone, %s beside it (%.2f)", name, before, during, float64(during)/float64(before))
		if during > 5*before+50*time.Millisecond {
			t.Errorf("%s: a job of another takes %s alone, %s beside it", name, before, during)
		}
	}
}

// attackers sends requests at their rate until stop is called.
func attackers(send func()) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			tick := time.NewTicker(4 * time.Second / attacksPerSecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					send()
				case <-done:
					return
				}
			}
		})
	}
	return func() { close(done); all.Wait() }
}

// TestAFloodOverNATSDelaysNoOther: one that sends more than is taken is told so, and delays
// no caller of another destination, over NATS or HTTP.
func TestAFloodOverNATSDelaysNoOther(t *testing.T) {
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.HTTP.Addr, s.Limits.Rate = "127.0.0.1:0", 200 })
	_, rest, _ := strings.Cut(d.log.String(), `"msg":"answering /healthz, /readyz and /metrics","http":"`)
	about, _, _ := strings.Cut(rest, `"`)
	refused := w.flood("chartpost.submit.live.a")
	devtest.Until(t, "the flood is refused", patienceOfTests, func() bool { return refused.Load() > 100 })
	nc := w.connect()
	for i := range 50 {
		began := time.Now()
		if _, err := nc.Request("chartpost.submit.live.b", []byte("{}"), 5*time.Second); err != nil {
			t.Fatalf("request %d of another: %v after %s; %d\n%s", i, err, time.Since(began), refused.Load(), d.log.String())
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("request %d of another was answered after %s", i, took)
		}
	}
	if code, body := readiness(t, about); code != http.StatusOK {
		t.Errorf("while a caller sends more than is taken: %d %s", code, body)
	}
	if !strings.Contains(d.log.String(), "some were refused") {
		t.Error("the log says nothing of it")
	}
}

// flood sends 20,000 requests a second, a hundred times what a caller may, until the test
// ends, and counts those that are refused as too many.
func (w *world) flood(subject string) (refused *atomic.Int64) {
	w.t.Helper()
	nc, refused := w.connect(), &atomic.Int64{}
	inbox := nc.NewInbox()
	if _, err := nc.Subscribe(inbox, func(m *nats.Msg) {
		if m.Header.Get("Nats-Service-Error-Code") == "429" {
			refused.Add(1)
		}
	}); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for range 1000 {
				if nc.PublishRequest(subject, inbox, []byte("{}")) != nil {
					return
				}
			}
			select {
			case <-tick.C:
			case <-w.t.Context().Done():
				return
			}
		}
	}()
	return refused
}

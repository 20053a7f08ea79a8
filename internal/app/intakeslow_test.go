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
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// attacksPerSecond is how many requests an attacker sends: as many as two callers may.
const attacksPerSecond = 400

// TestAttacksSlowNoOther measures how long the jobs of a caller take alone and beside each
// attack, in turns. The bound here is for a machine that runs other tests as well;
// docs/intake.md has the figures of a quiet one.
func TestAttacksSlowNoOther(t *testing.T) {
	t.Parallel()
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
		if during > 10*before+time.Second {
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

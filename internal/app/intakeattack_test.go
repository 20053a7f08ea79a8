package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
)

// raw opens a connection to the door, to be spoken to byte by byte.
func (d *door) raw() net.Conn {
	d.w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.w.t.Cleanup(func() { conn.Close() })
	return conn
}

// answers sends bytes and reads every answer until the connection is closed.
func (d *door) answers(text string) string {
	d.w.t.Helper()
	conn := d.raw()
	if err := conn.SetDeadline(time.Now().Add(patienceOfTests)); err != nil {
		d.w.t.Fatal(err)
	}
	// The server may close before all is written.
	_, _ = io.WriteString(conn, text)
	all, _ := io.ReadAll(conn)
	return string(all)
}

// TestIntakeRefusesSmuggling: forms that two readers of HTTP may take for different
// requests. Each is refused, or answered once on a connection that then ends.
func TestIntakeRefusesSmuggling(t *testing.T) {
	t.Parallel()
	d := newWorld(t, "").intake()
	const second = "GET /v1/jobs/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := func(headers, body string) string {
		return "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body
	}
	for name, c := range map[string]struct {
		text, want string
	}{
		"two lengths":               {post("Content-Length: 2\r\nContent-Length: 4\r\n", "{}"+second), "400"},
		"two lengths in one":        {post("Content-Length: 2, 4\r\n", "{}"+second), "400"},
		"a signed length":           {post("Content-Length: +2\r\n", "{}"+second), "400"},
		"a length in hex":           {post("Content-Length: 0x2\r\n", "{}"+second), "400"},
		"an unknown coding":         {post("Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n", "{}"+second), "501"},
		"two codings":               {post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"+second), "501"},
		"two coding headers":        {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+second), "501"},
		"a space before the colon":  {post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+second), "400"},
		"a folded header":           {post("X-A: b\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+second), "422"},
		"a zero byte":               {post("X-A: b\x00c\r\n", second), "400"},
		"no host":                   {"GET /v1/jobs/a HTTP/1.1\r\n\r\n" + second, "400"},
		"two hosts":                 {"GET /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n" + second, "400"},
		"a coding and a length":     {post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+second), "422"},
		"chunked":                   {post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"+second), "422"},
		"a chunk with an extension": {post("Transfer-Encoding: chunked\r\n", "2;a=\"\r\n\"\r\n{}\r\n0\r\n\r\n"+second), "4"},
		"a broken chunk":            {post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"+second), "422"},
		"HTTP/0.9":                  {"GET /v1/jobs/a\r\n\r\n", "400"},
		"another protocol":          {"PRI * HTTP/9.9\r\n\r\n", "505"},
		"large headers":             {post("X-A: "+strings.Repeat("a", 64<<10)+"\r\n", second), "431"},
		"many headers":              {post(strings.Repeat("X-A: b\r\n", 10_000), second), "431"},
	} {
		got := d.answers(c.text)
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.want) && !strings.HasPrefix(got, "HTTP/1.0 "+c.want) || strings.Count(got, "HTTP/1.") != 1 {
			t.Errorf("%s: want %s and nothing more:\n%s", name, c.want, got)
		}
	}
}

// TestIntakeEndsSlowCallers: headers and bodies that come slowly lose their connection,
// and others do not wait for them.
func TestIntakeEndsSlowCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.FileStall = time.Second; s.Limits.Requests, s.Limits.All = 64, 256 })
	before := d.median()
	var slow sync.WaitGroup
	ended := make(chan string, 200)
	send := func(text string) {
		slow.Go(func() {
			conn := d.raw()
			_, _ = io.WriteString(conn, text)
			_ = conn.SetReadDeadline(time.Now().Add(patienceOfTests))
			status, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil && status == "" {
				status = "closed"
			}
			ended <- strings.TrimSpace(status)
		})
	}
	for range 40 {
		send("PUT /v1/jobs/slow HTTP/1.1\r\nHost: localhost\r\nX-")
		send("PUT /v1/jobs/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
	}
	during := d.median()
	began := time.Now()
	slow.Wait()
	close(ended)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("they were ended after %s", took)
	}
	counts := map[string]int{}
	for one := range ended {
		counts[one]++
	}
	// Slow headers end without an answer of the API, slow bodies with one.
	if counts["HTTP/1.1 422 Unprocessable Entity"] != 40 || len(counts) > 3 {
		t.Errorf("%v", counts)
	}
	t.Logf("a job took %s before, %s beside 80 slow callers", before, during)
	if during > 10*before+50*time.Millisecond {
		t.Errorf("others were slowed: %s before, %s beside", before, during)
	}
}

// median is how long a refused job takes: all of the way but the queue.
func (d *door) median() time.Duration {
	d.w.t.Helper()
	var took []time.Duration
	for range 501 {
		began := time.Now()
		if code, body := d.ask("POST", "/v1/jobs", []byte(`{"id":"x"}`)); code != 422 {
			d.w.t.Fatalf("%d %s", code, body)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// TestIntakeWithIdleConnections: thousands keep no caller out.
func TestIntakeWithIdleConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.Limits.Connections = 100 })
	before := d.median()
	for range 10_000 {
		d.raw().SetDeadline(time.Now().Add(patienceOfTests))
	}
	d.client = &http.Client{Timeout: patienceOfTests, Transport: &http.Transport{}} // a caller that comes now
	during := d.median()
	t.Logf("a job took %s before, %s beside 10,000 idle connections", before, during)
	if during > 10*before+50*time.Millisecond {
		t.Errorf("others were slowed: %s before, %s beside", before, during)
	}
}

// TestIntakeTakesNoHugeJobs: large and deep ones are refused, within the memory of a few.
func TestIntakeTakesNoHugeJobs(t *testing.T) {
	t.Parallel()
	d := newWorld(t, "").intake()
	deep := []byte(`{"id":"x","message":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + "}")
	wide := []byte(`{"id":"x","message":[` + strings.Repeat("0,", 450_000) + "0]}")
	keys := []byte(`{"id":"x"` + strings.Repeat(`,"a":1`, 150_000) + "}")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"deep": {deep, "422"}, "wide": {wide, "422"}, "keys": {keys, "422"},
		"too large": {bytes.Repeat([]byte(" "), schemas.MaxJobSize+1), "413"},
		"no JSON":   {bytes.Repeat([]byte("\xff"), 1000), "422"},
	} {
		if code, body := d.ask("POST", "/v1/jobs", c.data); fmt.Sprint(code) != c.want || len(body) > 8000 {
			t.Errorf("%s: %d, %d bytes: %.300s", name, code, len(body), body)
		}
	}
	// Without a length it is found out on the way.
	r, err := http.NewRequestWithContext(t.Context(), "POST", d.url+"/v1/jobs", io.LimitReader(zeros{}, 100<<20))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.client.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	if err == nil && resp.StatusCode != 413 {
		t.Errorf("an endless body: %d", resp.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestIntakeInjectsNothing: no value of a caller becomes a header, a line or a subject.
func TestIntakeInjectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake()
	file := w.put("a.pdf", document(1000, "a"))
	good := encoded(t, w.job("plain", []schemas.File{file}))
	const bad = "x%0d%0aInjected:%20yes"
	for _, c := range []struct {
		method, path string
		body         []byte
		header       []string
	}{
		{"PUT", "/v1/jobs/" + bad, good, nil},
		{"PUT", "/v1/jobs/plain?class=" + bad, good, nil},
		{"GET", "/v1/jobs/" + bad, nil, nil},
		{"GET", "/v1/jobs/plain?destination=" + bad, nil, nil},
		{"GET", "/v1/jobs/plain?destination=%3E", nil, nil},
		{"GET", "/v1/events?destination=" + bad, nil, nil},
		{"GET", "/v1/events?destination=*", nil, nil},
		{"GET", "/v1/events?class=" + bad, nil, nil},
		{"GET", "/v1/events?status=%3E", nil, nil},
		{"GET", "/v1/events?correlation=" + bad[:1], nil, nil},
		{"GET", "/v1/events", nil, []string{"Last-Event-ID", "1 x"}},
		{"POST", "/v1/files?name=" + bad, good, nil},
		{"POST", "/v1/files?name=..%2f..%2fetc%2fpasswd", good, nil},
		{"POST", "/v1/files?sha256=" + bad, good, nil},
		{"GET", "/" + bad, nil, nil},
		{"DELETE", "/v1/jobs/plain", nil, nil},
		{"PATCH", "/v1/files", nil, nil},
	} {
		resp := d.do(c.method, c.path, c.body, c.header...)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.Header.Get("Injected") != "" || strings.Contains(string(body), "Injected") || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, resp.StatusCode, resp.Header, body)
		}
	}
	// What a caller says in headers stays outside of the message.
	code, body := d.put(w.job("plain", []schemas.File{file}), "traceparent", "00-0-0-0\tx", "Nats-Rollup", "all", "Nats-Expected-Last-Msg-Id", "x", "Nats-Msg-Id", "y", "Chartpost-Attempt", "7")
	if code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 1)
	if err != nil || len(msg.Header) != 1 || msg.Header.Get("Nats-Msg-Id") == "" || msg.Header.Get("Nats-Msg-Id") == "y" {
		t.Errorf("%v, %v", msg.Header, err)
	}
}

// TestIntakeOnLoopback is reached under a name of this machine alone, and by no page of
// another site.
func TestIntakeOnLoopback(t *testing.T) {
	t.Parallel()
	d := newWorld(t, "").intake()
	for name, header := range map[string]string{"another name": "Host: evil.example", "a page of another site": "Host: localhost\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site"} {
		got := d.answers("POST /v1/jobs HTTP/1.1\r\n" + header + "\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
		if !strings.HasPrefix(got, "HTTP/1.1 403") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestIntakeStops: what is in hand is answered, streams end, and nothing new is taken.
func TestIntakeStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake()
	events := d.do("GET", "/v1/events", nil)
	defer events.Body.Close()
	if _, err := bufio.NewReader(events.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	conn := d.raw()
	data := encoded(t, w.job("last", []schemas.File{w.put("a.pdf", document(1000, "a"))}))
	fmt.Fprintf(conn, "PUT /v1/jobs/last HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(data))
	answer := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} { // the request is in hand
		if line, err := answer.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
	}
	stopped := make(chan struct{})
	go func() { d.stop(); close(stopped) }()
	if _, err := io.Copy(io.Discard, events.Body); err != nil {
		t.Errorf("the stream did not end in order: %v", err)
	}
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	status, err := answer.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 202") {
		t.Errorf("%q, %v", status, err)
	}
	<-stopped
	if _, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://")); err == nil {
		t.Error("it still listens")
	}
}

// TestIntakeReadsNoUnwantedBodies: a caller that is refused before its body is read does
// not keep the connection by never sending it.
func TestIntakeReadsNoUnwantedBodies(t *testing.T) {
	t.Parallel()
	d := newWorld(t, "").intake()
	for name, path := range map[string]string{"too large": "POST /v1/jobs", "no path": "POST /nothing", "class": "POST /v1/jobs?class=x", "id": "PUT /v1/jobs/a.b"} {
		began := time.Now()
		got := d.answers(path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n{")
		if !strings.HasPrefix(got, "HTTP/1.1 4") || time.Since(began) > 30*time.Second {
			t.Errorf("%s: after %s: %s", name, time.Since(began), got)
		}
	}
}

func (w *world) connect() *nats.Conn {
	w.t.Helper()
	nc, err := nats.Connect(w.settings.NATS.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

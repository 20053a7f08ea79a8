package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// get asks the handler and gives the status and the body.
func get(t *testing.T, h http.Handler, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New()
		nats := Check{OK: true}
		h.Add("nats", func() Check { return nats })
		want := func(status int, body string) {
			t.Helper()
			if got, said := get(t, h, "GET", "/readyz"); got != status || said != body {
				t.Errorf("%d %s\nwant %d %s", got, said, status, body)
			}
		}
		want(503, `{"ready":false,"checks":[{"name":"process","ok":false,"since":"2000-01-01T00:00:00Z","text":"starting"},{"name":"nats","ok":true}]}`)
		time.Sleep(time.Second)
		h.Enter(Working)
		time.Sleep(time.Second)
		h.Enter(Working) // says nothing new
		const working = `{"name":"process","ok":true,"since":"2000-01-01T00:00:01Z","text":"working"}`
		want(200, `{"ready":true,"checks":[`+working+`,{"name":"nats","ok":true}]}`)
		nats = Check{Since: time.Now().Add(time.Nanosecond).In(time.FixedZone("x", 3600)), Text: "not connected"}
		want(503, `{"ready":false,"checks":[`+working+`,{"name":"nats","ok":false,"since":"2000-01-01T00:00:02Z","text":"not connected"}]}`)
		nats = Check{OK: true}
		h.Enter(Stopping)
		h.Enter(Working) // nothing follows
		want(503, `{"ready":false,"checks":[{"name":"process","ok":false,"since":"2000-01-01T00:00:02Z","text":"stopping"},{"name":"nats","ok":true}]}`)
	})
}

// TestLiveness: what makes the process not ready leaves it alive.
func TestLiveness(t *testing.T) {
	h := New()
	h.Add("nats", func() Check { return Check{} })
	if status, said := get(t, h, "GET", "/healthz"); status != 200 || said != `{"alive":true,"checks":[]}` {
		t.Errorf("%d %s", status, said)
	}
	var dead error
	h.Live("loop", func() error { return dead })
	if status, said := get(t, h, "GET", "/healthz"); status != 200 || said != `{"alive":true,"checks":[{"name":"loop","ok":true}]}` {
		t.Errorf("%d %s", status, said)
	}
	dead = errors.New("it stands")
	if status, said := get(t, h, "GET", "/healthz"); status != 503 || said != `{"alive":false,"checks":[{"name":"loop","ok":false,"text":"it stands"}]}` {
		t.Errorf("%d %s", status, said)
	}
}

func TestTurning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := time.Now()
		alive := Turning(func() time.Time { return last }, time.Minute)
		time.Sleep(time.Minute)
		if err := alive(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := alive(); !errors.Is(err, errStill) || !strings.Contains(err.Error(), "1m1s") {
			t.Error(err)
		}
		last = time.Now()
		if err := alive(); err != nil {
			t.Error(err)
		}
	})
}

func TestMethodsAndPaths(t *testing.T) {
	h := New()
	h.Enter(Working)
	h.Handle("GET /metrics", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "more") }))
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/readyz", 200}, {"POST", "/readyz", 405}, {"GET", "/", 404}, {"GET", "/readyz/x", 404}, {"GET", "/metrics", 200},
	} {
		if status, said := get(t, h, c.method, c.path); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, said, c.status)
		}
	}
}

func TestServer(t *testing.T) {
	h := New()
	h.Enter(Working)
	s, err := Listen(t.Context(), "127.0.0.1:0", h, quiet)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + s.Addr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Ready bool }
	err = json.NewDecoder(response.Body).Decode(&body)
	response.Body.Close()
	if err != nil || !body.Ready || response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %+v %v", err, body, response.Header)
	}
	if _, err := Listen(t.Context(), s.Addr(), h, quiet); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("a second server at the same address: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("it listens after Close")
	}
}

// TestAPanicIsToldWithoutItsValue, which may be about a patient: by its type and
// its place, and nothing of it by net/http, which shares the log.
func TestAPanicIsToldWithoutItsValue(t *testing.T) {
	const canary = "KANARIENVOGEL"
	var said bytes.Buffer
	s, err := Listen(t.Context(), "127.0.0.1:0", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(errors.New(canary))
	}), slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.Get("http://" + s.Addr() + "/healthz"); err == nil {
		response.Body.Close()
		t.Errorf("answered %d", response.StatusCode)
	}
	s.http.ErrorLog.Printf("http: panic serving 127.0.0.1: %v", canary)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	text := said.String()
	if strings.Contains(text, canary) || !strings.Contains(text, "type=*errors.errorString") || !strings.Contains(text, "health_test.go") ||
		!strings.Contains(text, "a library wrote to the standard log") {
		t.Error(text)
	}
}

// TestCloseDoesNotWaitForAHandler that hangs.
func TestCloseDoesNotWaitForAHandler(t *testing.T) {
	h := New()
	inside, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	h.Handle("/hang", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(inside); <-end }))
	s, err := Listen(t.Context(), "127.0.0.1:0", h, quiet)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := http.Get("http://" + s.Addr() + "/hang")
		gone <- err
	}()
	<-inside
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-gone; err == nil {
		t.Error("the request has an answer")
	}
}

package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// readiness asks a worker's /readyz.
func readiness(t *testing.T, address string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

// TestReadyOnlyWithTheQueue: a worker is ready while it has its queue, says why
// it is not, and ends its server with itself.
func TestReadyOnlyWithTheQueue(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	w := newWorld(t, server.URL())
	w.settings.HTTP.Addr = "127.0.0.1:0"
	stop := w.worker()
	address := w.address()
	if status, body := readiness(t, address); status != 200 {
		t.Errorf("a worker that is ready: %d %s", status, body)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	devtest.Until(t, "it is not ready without its queue", time.Minute, func() bool {
		status, body := readiness(t, address)
		return status == 503 && strings.Contains(body, "not connected")
	})
	if response, err := http.Get("http://" + address + "/healthz"); err != nil || response.StatusCode != 200 {
		t.Errorf("a queue that is away is no reason to start the process again: %v %v", response, err)
	} else {
		response.Body.Close()
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	devtest.Until(t, "it is ready again", 2*time.Minute, func() bool {
		status, _ := readiness(t, address)
		return status == 200
	})
	stop()
	if response, err := http.Get("http://" + address + "/readyz"); err == nil {
		response.Body.Close()
		t.Error("it answers after its end")
	}
}

// TestAnAddressThatIsTaken ends the start with one line.
func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.HTTP.Addr = strings.TrimPrefix(w.settings.NATS.URL, "nats://")
	err := RunWorker(t.Context(), w.settings, w.log.Logger(), func() { t.Error("it is ready") })
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), w.settings.HTTP.Addr) {
		t.Errorf("%v", err)
	}
}

// TestToldToStopBeforeItIsReady: who stops a worker that still waits for NATS
// asked for no more, and hears of no failure.
func TestToldToStopBeforeItIsReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := RunWorker(ctx, w.settings, w.log.Logger(), func() { t.Error("it is ready") }); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.log.String(), "worker stopped before it was ready") {
		t.Errorf("the log does not say it:\n%s", w.log)
	}
}

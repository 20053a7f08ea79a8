package app

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
)

// TestARunIsMeasured: the feeder of a run answers with how far the run is, for as
// long as it feeds.
func TestARunIsMeasured(t *testing.T) {
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	look := func() RunProgress {
		return RunProgress{Name: "y2019", Lines: 9, InFlight: 3, Unfed: 2, Paused: true, PerSecond: 1.5, Outcomes: map[string]int64{"accepted": 4, "failed": 0}}
	}
	refused := []natsq.Trouble{{Since: time.Now(), Text: "publishing jobs: full"}}
	trouble := make(chan []natsq.Trouble, 1)
	troubles := func() []natsq.Trouble {
		select {
		case now := <-trouble:
			return now
		default:
			return nil
		}
	}
	done, err := ServeRun(t.Context(), HTTP{Addr: "127.0.0.1:0"}, look, troubles, log)
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(said.String(), "http=")
	address = strings.TrimSpace(address)
	for path, wants := range map[string][]string{
		"/metrics": {
			`chartpost_backfill_lines{run="y2019"} 9`, `chartpost_backfill_in_flight_lines{run="y2019"} 3`, `chartpost_backfill_unfed_lines{run="y2019"} 2`,
			`chartpost_backfill_paused{run="y2019"} 1`, `chartpost_backfill_pace_lines_per_second{run="y2019"} 1.5`,
			`chartpost_backfill_ended_lines{outcome="accepted",run="y2019"} 4`, `chartpost_backfill_ended_lines{outcome="failed",run="y2019"} 0`,
		},
		"/readyz": {`"working"`},
	} {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", path, response.StatusCode, err)
		}
		for _, want := range wants {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s says not %s:\n%s", path, want, body)
			}
		}
	}
	trouble <- refused
	response, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), refused[0].Text) {
		t.Errorf("a feeder that the queue refuses: %d, %v\n%s", response.StatusCode, err, body)
	}
	done()
	if response, err := http.Get("http://" + address + "/metrics"); err == nil {
		response.Body.Close()
		t.Error("the server outlives the run")
	}
	if done, err = ServeRun(t.Context(), HTTP{}, look, troubles, log); err != nil {
		t.Fatal(err)
	}
	done()
}

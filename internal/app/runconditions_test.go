package app

import (
	"log/slog"
	"maps"
	"strings"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
)

// ofRun is a condition of a backfill run: how far its feeder says it is from some time on,
// beside a worker without work.
func ofRun(run RunProgress) func(*world, func()) (metrics, metrics) {
	return func(w *world, _ func()) (metrics, metrics) {
		w.worker()
		idle := w.scrape()
		return idle, w.beside(idle, run)
	}
}

// beside adds what a feeder answers to what a worker answered.
func (w *world) beside(worker metrics, run RunProgress) metrics {
	w.t.Helper()
	said := &devtest.Log{}
	done, err := ServeRun(w.t.Context(), HTTP{Addr: "127.0.0.1:0"}, func() RunProgress { return run },
		func() []natsq.Trouble { return nil }, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer done()
	_, address, _ := strings.Cut(said.String(), "http=")
	feeder, err := w.tryScrape(strings.TrimSpace(address))
	if err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(feeder.families, worker.families)
	return metrics{w.t, worker.text + feeder.text, feeder.families}
}

// runAt is a run of which so many lines have ended.
func runAt(accepted, failed, inFlight, unfed int64) RunProgress {
	return RunProgress{
		Name: "y2019", Lines: accepted + failed + inFlight + unfed, InFlight: inFlight, Unfed: unfed,
		Outcomes: map[string]int64{"accepted": accepted, "failed": failed},
	}
}

func paused(run RunProgress) RunProgress {
	run.Paused = true
	return run
}

func waiting(run RunProgress) RunProgress {
	run.Shut = true
	return run
}

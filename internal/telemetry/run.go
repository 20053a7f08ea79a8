package telemetry

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Run is how far a backfill run is.
type Run struct {
	Name string
	// Outcomes are the lines that have ended, by outcome.
	Outcomes map[string]int64
	// Lines are all there are, InFlight those whose jobs have not ended, Unfed
	// those whose jobs are not published yet.
	Lines, InFlight, Unfed int64
	// Paused and Shut say that no jobs are fed: by an operator or the run itself, or until
	// the next window.
	Paused, Shut bool
	// PerSecond how many lines ended in a second over
	// the last minute.
	PerSecond float64
}

// runGauges are the metrics of one run.
type runGauges struct {
	look                             func() Run
	lines, outcomes, inFlight, unfed *prometheus.Desc
	paused, shut, pace               *prometheus.Desc
}

// RunHandler answers with the metrics of a run; look must be quick.
func RunHandler(look func() Run, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newRunGauges(look))
	return handlerOf(registry, log)
}

func newRunGauges(look func() Run) *runGauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"run"}, labels...), nil)
	}
	return &runGauges{
		look:     look,
		lines:    desc("chartpost_backfill_lines", "Lines of the run."),
		outcomes: desc("chartpost_backfill_ended_lines", "Lines of the run that have ended, by outcome.", "outcome"),
		inFlight: desc("chartpost_backfill_in_flight_lines", "Lines whose jobs are published and have not ended."),
		unfed:    desc("chartpost_backfill_unfed_lines", "Lines whose jobs are not published yet."),
		paused:   desc("chartpost_backfill_paused", "1 while the run is paused."),
		shut:     desc("chartpost_backfill_window_shut", "1 while the run waits for its next window."),
		pace:     desc("chartpost_backfill_pace_lines_per_second", "Lines that ended in a second, over the last minute."),
	}
}

// Describe implements prometheus.Collector.
func (g *runGauges) Describe(out chan<- *prometheus.Desc) {
	out <- g.lines
	out <- g.outcomes
	out <- g.inFlight
	out <- g.unfed
	out <- g.paused
	out <- g.shut
	out <- g.pace
}

// Collect implements prometheus.Collector.
func (g *runGauges) Collect(out chan<- prometheus.Metric) {
	run, s := g.look(), sink{out}
	s.gauge(g.lines, float64(run.Lines), run.Name)
	s.gauge(g.inFlight, float64(run.InFlight), run.Name)
	s.gauge(g.unfed, float64(run.Unfed), run.Name)
	s.flag(g.paused, run.Paused, run.Name)
	s.flag(g.shut, run.Shut, run.Name)
	s.gauge(g.pace, run.PerSecond, run.Name)
	for outcome, n := range run.Outcomes {
		s.gauge(g.outcomes, float64(n), run.Name, outcome)
	}
}

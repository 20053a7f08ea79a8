package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/schemas"
)

// Outcomes are the metrics of the follower of outcomes.
type Outcomes struct {
	told     *prometheus.CounterVec
	searches *prometheus.CounterVec
	waiting  *prometheus.GaugeVec
	oldest   prometheus.Gauge
	lag      prometheus.Gauge
	working  prometheus.Gauge
}

// Outcomes registers them. Only a follower has them.
func (t *Telemetry) Outcomes() *Outcomes {
	make := factory{t.registry}
	o := &Outcomes{
		told:     make.counters("chartpost_outcomes_total", "Outcomes of accepted messages that were told, by status.", "status"),
		searches: make.counters("chartpost_outcome_searches_total", "Calls of Redox's Platform API, by what they were for and how they ended: ok, or the kind of error.", "call", "result"),
		waiting:  make.gauges("chartpost_outcome_waiting", "What the follower waits for: jobs without an outcome, failed jobs that a person may have retried, windows to be counted.", "what"),
		oldest:   make.gauge("chartpost_outcome_oldest_unconfirmed_seconds", "Age of the oldest accepted message without an outcome; 0 where there is none."),
		lag:      make.gauge("chartpost_outcome_sweep_lag_seconds", "By how much the search of all that changed at Redox lags behind."),
		working:  make.gauge("chartpost_outcome_follower", "1 where this process is the follower that works."),
	}
	for _, status := range schemas.Outcomes() {
		o.told.WithLabelValues(string(status))
	}
	return o
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	f.registry.MustRegister(g)
	return g
}

func (f factory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	f.registry.MustRegister(g)
	return g
}

// Told counts an outcome.
func (o *Outcomes) Told(status schemas.Status) { o.told.WithLabelValues(string(status)).Inc() }

// Searched counts a call. An empty result is ok.
func (o *Outcomes) Searched(call, result string) {
	if result == "" {
		result = resultOK
	}
	o.searches.WithLabelValues(call, result).Inc()
}

// Waiting is what a follower waits for.
type Waiting struct {
	Jobs, Failed, Windows int
	// Oldest is how long the oldest job waits, Lag by how much the sweep lags.
	Oldest, Lag time.Duration
}

// Stands notes what the follower that works waits for; nil says that it is another's
// turn.
func (o *Outcomes) Stands(w *Waiting) {
	if w == nil {
		o.working.Set(0)
		w = &Waiting{}
	} else {
		o.working.Set(1)
	}
	o.waiting.WithLabelValues("jobs").Set(float64(w.Jobs))
	o.waiting.WithLabelValues("failed").Set(float64(w.Failed))
	o.waiting.WithLabelValues("windows").Set(float64(w.Windows))
	o.oldest.Set(w.Oldest.Seconds())
	o.lag.Set(w.Lag.Seconds())
}

// Package telemetry makes metrics and traces of what a worker does. It
// implements ports that others declare and knows nothing of NATS, S3 or Redox.
//
// No metric and no span holds patient data: labels and attributes are classes,
// destinations, statuses, codes of our own, and sizes; spans have job ids too.
// docs/telemetry.md lists all metrics.
package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Settings say what is told.
type Settings struct {
	// Version is this build's.
	Version string
	// Destinations is how many are told of by name; the others are summed up.
	Destinations int
	// Tracer makes spans; nil makes none.
	Tracer *Tracer
}

// Telemetry is one worker's. It implements worker.Telemetry.
type Telemetry struct {
	registry *prometheus.Registry
	meters   *meters
	lanes    *lanes
	tracer   *Tracer
}

// scrapesAtOnce bounds what a careless caller of /metrics can cost, scrapeTime
// one answer.
const (
	scrapesAtOnce = 3
	scrapeTime    = 10 * time.Second
)

// New makes a Telemetry that watches nothing yet.
func New(s Settings) *Telemetry {
	registry := prometheus.NewRegistry()
	t := &Telemetry{registry: registry, meters: newMeters(registry), lanes: newLanes(s.Destinations), tracer: s.Tracer}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "chartpost_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": s.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(build, t.lanes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.Tracer != nil {
		registry.MustRegister(s.Tracer)
	}
	return t
}

// Handler answers with the metrics in the format that is asked for.
func (t *Telemetry) Handler(log *slog.Logger) http.Handler { return handlerOf(t.registry, log) }

func handlerOf(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTime,
	})
}

// Gatherer gives the metrics as they are now.
func (t *Telemetry) Gatherer() prometheus.Gatherer { return t.registry }

package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/chartpost/chartpost/schemas"
)

// Intake makes the metrics of an intake. No label holds a caller or a destination.
type Intake struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	jobs     *prometheus.CounterVec
	files    *prometheus.CounterVec
	bytes    prometheus.Counter
	codes    *codeBook
}

// requestBuckets reach from a job that is stored at once to the wait for a job's end.
var requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60}

// NewIntake makes an Intake. ready says how the checks of /readyz stand.
func NewIntake(version string, ready func() []Check) *Intake {
	registry := prometheus.NewRegistry()
	make := factory{registry}
	i := &Intake{
		registry: registry, codes: newCodeBook(),
		requests: make.histograms("chartpost_intake_request_duration_seconds", "Requests to the intake by route and by the class of the answer's status; 429 has a class of its own.", requestBuckets, "route", "status"),
		jobs:     make.counters("chartpost_intake_jobs_total", "Jobs that came to the intake by class and result: stored, known, or the code of the refusal.", "class", "result"),
		files:    make.counters("chartpost_intake_files_total", "Files that came to the intake by result: stored, or the code of the refusal.", "result"),
		bytes:    make.counter("chartpost_intake_file_bytes_total", "Bytes of files that came to the intake."),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "chartpost_build_info", Help: "Always 1; the labels say what runs.", ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(build, readiness{ready}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, class := range []schemas.Class{schemas.Live, schemas.Backfill} {
		i.jobs.WithLabelValues(string(class), "stored")
	}
	return i
}

// Handler answers with the metrics.
func (i *Intake) Handler(log *slog.Logger) http.Handler { return handlerOf(i.registry, log) }

// Request implements web.Meter.
func (i *Intake) Request(route string, status int, took time.Duration) {
	i.requests.WithLabelValues(route, classOf(status)).Observe(took.Seconds())
}

// Job implements web.Meter.
func (i *Intake) Job(class schemas.Class, result string) {
	i.jobs.WithLabelValues(string(class), i.codes.bounded(result)).Inc()
}

// File implements web.Meter.
func (i *Intake) File(bytes int64, result string) {
	i.files.WithLabelValues(i.codes.bounded(result)).Inc()
	i.bytes.Add(float64(bytes))
}

// readiness tells of the checks of /readyz.
type readiness struct{ checks func() []Check }

var readyDesc = prometheus.NewDesc("chartpost_intake_check", "The checks of /readyz: 1 is fine.", []string{"check"}, nil)

func (readiness) Describe(c chan<- *prometheus.Desc) { c <- readyDesc }

func (r readiness) Collect(c chan<- prometheus.Metric) {
	for _, one := range r.checks() {
		value := 0.0
		if one.OK {
			value = 1
		}
		c <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, one.Name)
	}
}

package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// meters are the counters and histograms that jobs move. What the steps need is
// looked up once, so that a job allocates nothing.
type meters struct {
	steps    map[pipeline.Step]*stepMeter
	faults   *prometheus.CounterVec
	codes    *codeBook
	accepted map[schemas.Class]prometheus.Observer
	sent     map[pipeline.Step]prometheus.Counter
	leases   [3]prometheus.Counter
	panics   prometheus.Counter
	ledger   prometheus.Counter
	redox    *prometheus.HistogramVec
	tokens   map[bool]prometheus.Counter
	source   sourceMeters
}

// stepMeter is a step's durations: where it went well, and where it did not.
type stepMeter struct{ well, badly prometheus.Observer }

// steps are all there are.
var steps = []pipeline.Step{
	worker.StepUnderstand, worker.StepAdmit, worker.StepPrecede, pipeline.StepAuthorize, pipeline.StepSurvey, pipeline.StepPermit, pipeline.StepUpload,
	pipeline.StepCompose, pipeline.StepSend, worker.StepSettle, worker.StepAck,
}

// A step takes from a millisecond to as long as Redox may take to answer; a job
// from a moment to the default of expires_at.
var (
	stepBuckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	jobBuckets  = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 72 * 3600}
)

const (
	resultOK    = "ok"
	resultError = "error"
)

func newMeters(registry *prometheus.Registry) *meters {
	make := factory{registry}
	m := &meters{
		steps: map[pipeline.Step]*stepMeter{}, accepted: map[schemas.Class]prometheus.Observer{},
		sent: map[pipeline.Step]prometheus.Counter{}, tokens: map[bool]prometheus.Counter{}, codes: newCodeBook(),
		faults: make.counters("chartpost_job_faults_total", "What copies of jobs met that kept them from being accepted, by kind, whose fault it was, and code.", "kind", "scope", "code"),
		panics: make.counter("chartpost_panics_total", "Panics while working on a job: each is a defect."),
		ledger: make.counter("chartpost_ledger_conflicts_total", "Jobs this worker stepped back from because another one owns them."),
		redox: make.histograms("chartpost_redox_request_duration_seconds",
			"Requests to Redox by kind and by the class of the answer's status; none is no answer, and 429 has a class of its own.", stepBuckets, "kind", "status"),
	}
	durations := make.histograms("chartpost_step_duration_seconds",
		"How long the steps of jobs took. A permit is a part of upload or send; upload and send have their repeats in them.", stepBuckets, "step", "result")
	for _, step := range steps {
		m.steps[step] = &stepMeter{well: durations.WithLabelValues(string(step), resultOK), badly: durations.WithLabelValues(string(step), resultError)}
	}
	ages := make.histograms("chartpost_job_acceptance_seconds", "From the publish of a job, by the queue's clock, to its acceptance by Redox, by this worker's.", jobBuckets, "class")
	for _, class := range []schemas.Class{schemas.Live, schemas.Backfill} {
		m.accepted[class] = ages.WithLabelValues(string(class))
	}
	sent := make.counters("chartpost_redox_sent_bytes_total", "Bytes of files and messages handed over to Redox, those of tries that failed included.", "kind")
	m.sent[pipeline.StepUpload], m.sent[pipeline.StepSend] = sent.WithLabelValues("file"), sent.WithLabelValues("message")
	leases := make.counters("chartpost_lease_renewals_total",
		"Renewals of the leases of jobs in hand: renewed, failed because nothing could be sent, or missed because the lease had ended before.", "result")
	for i, result := range []string{"renewed", "failed", "missed"} {
		m.leases[i] = leases.WithLabelValues(result)
	}
	tokens := make.counters("chartpost_token_requests_total", "Requests for a token of Redox.", "result")
	m.tokens[true], m.tokens[false] = tokens.WithLabelValues(resultOK), tokens.WithLabelValues(resultError)
	m.source = newSourceMeters(make)
	for _, kind := range []string{"token", "upload", "send", "upload_blob", "send_data_model"} {
		m.redox.WithLabelValues(kind, "429")
	}
	return m
}

// factory makes and registers.
type factory struct{ registry *prometheus.Registry }

func (f factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	f.registry.MustRegister(c)
	return c
}

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.registry.MustRegister(c)
	return c
}

func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	f.registry.MustRegister(h)
	return h
}

// Leased implements worker.Telemetry.
func (t *Telemetry) Leased(renewed, failed, lost int) {
	for i, n := range [...]int{renewed, failed, lost} {
		t.meters.leases[i].Add(float64(n))
	}
}

// Panicked implements worker.Telemetry.
func (t *Telemetry) Panicked() { t.meters.panics.Inc() }

// Request notes a request to Redox: its kind, the answer's status, 0 for none,
// and how long it took.
func (t *Telemetry) Request(kind string, status int, took time.Duration) {
	t.meters.redox.WithLabelValues(kind, classOf(status)).Observe(took.Seconds())
	if kind == "token" {
		t.meters.tokens[status/100 == 2].Inc()
	}
}

func classOf(status int) string {
	switch {
	case status == 429:
		return "429"
	case status < 100 || status > 599:
		return "none"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

func (m *meters) passed(s pipeline.Stage, one *lane) {
	step := m.steps[s.Step]
	if step == nil {
		return
	}
	if s.Err == nil {
		step.well.Observe(s.Took.Seconds())
	} else {
		step.badly.Observe(s.Took.Seconds())
	}
	if sent := m.sent[s.Step]; sent != nil {
		sent.Add(float64(s.Bytes))
	}
	if s.Step == pipeline.StepSend {
		one.messages.Add(1)
		one.waited.Add(uint64(s.Took))
	}
}

func (m *meters) ended(e worker.End, one *lane) {
	if f := e.Fault; f != nil {
		m.faults.WithLabelValues(string(f.Kind), string(f.Scope), m.codes.bounded(f.Code)).Inc()
		if f.Kind == fault.Superseded {
			m.ledger.Inc()
		}
	}
	switch {
	case e.Status != "":
		one.count(string(e.Status))
	case e.Fault != nil:
		one.count(returned)
	default:
		one.count(repeated)
	}
	if age := m.accepted[schemas.Class(one.class)]; age != nil && e.Status == schemas.StatusAccepted {
		age.Observe(e.Age.Seconds())
	}
}

package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Tracer makes spans: one for each attempt at a job and one for each of its
// steps. It is a prometheus.Collector of what became of them.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	exported *prometheus.CounterVec
}

// scope names the instrumentation to whoever reads the spans.
const scope = "github.com/chartpost/chartpost"

// NewTracer sends spans to where a SpanExporter brings them, in batches. service
// and instance name the process. OpenTelemetry's own variables of sampling
// and of batches (OTEL_TRACES_SAMPLER, OTEL_BSP_…) are obeyed.
func NewTracer(service, instance, version string, exporter sdk.SpanExporter) *Tracer {
	t := &Tracer{exported: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "chartpost_trace_spans_total", Help: "Spans by what became of them: ok was taken by the collector, error was not, and is lost.",
	}, []string{"result"})}
	for _, result := range []string{resultOK, resultError} {
		t.exported.WithLabelValues(result)
	}
	about := resource.NewSchemaless(
		attribute.String("service.name", service), attribute.String("service.version", version), attribute.String("service.instance.id", instance))
	t.provider = sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&countedExport{exporter, t.exported}))
	t.tracer = t.provider.Tracer(scope, trace.WithInstrumentationVersion(version))
	return t
}

// Close sends what has not been sent, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// Describe implements prometheus.Collector.
func (t *Tracer) Describe(descs chan<- *prometheus.Desc) { t.exported.Describe(descs) }

// Collect implements prometheus.Collector.
func (t *Tracer) Collect(metrics chan<- prometheus.Metric) { t.exported.Collect(metrics) }

// attempt is the span of one copy of a job in hand. Spans of steps are made when
// these have ended: one that was cut off by a crash would never be sent anyway.
type attempt struct {
	tracer trace.Tracer
	ctx    context.Context // names the parent of the steps
	span   trace.Span
	trace  schemas.Trace
}

// begin starts a span. It is a child of the span that handed the job on: the
// publisher's, or that of the attempt whose schedule brought it back.
func (t *Tracer) begin(lane schemas.Lane, from schemas.Trace, at time.Time) *attempt {
	ctx := context.Background()
	if parent := contextOf(from); parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	a := &attempt{tracer: t.tracer}
	a.ctx, a.span = t.tracer.Start(ctx, "deliver", trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("chartpost.class", string(lane.Class)), attribute.String("chartpost.destination", lane.Destination)))
	a.trace = traceOf(a.span.SpanContext())
	return a
}

// carried is what goes with whatever is published of the job. A span that is
// not sampled still names the trace.
func (a *attempt) carried() schemas.Trace { return a.trace }

func (a *attempt) passed(s pipeline.Stage) {
	_, span := a.tracer.Start(a.ctx, string(s.Step), trace.WithTimestamp(s.Began))
	if s.Bytes > 0 {
		span.SetAttributes(attribute.Int64("chartpost.bytes", s.Bytes))
	}
	if f := fault.Of(s.Err); f != nil {
		failed(span, f)
	}
	span.End(trace.WithTimestamp(s.Began.Add(s.Took)))
}

func (a *attempt) ended(e worker.End) {
	a.span.SetAttributes(attribute.String("chartpost.job_id", e.JobID), attribute.Int("chartpost.attempt", e.Attempt))
	if e.Status != "" {
		a.span.SetAttributes(attribute.String("chartpost.status", string(e.Status)))
	}
	if e.PossibleDuplicate {
		a.span.SetAttributes(attribute.Bool("chartpost.possible_duplicate", true))
	}
	if e.Fault != nil {
		failed(a.span, e.Fault)
	}
	a.span.End()
}

// failed notes a fault by its kind and code. Its text and path are for events:
// a span needs no more than what can be searched for.
func failed(span trace.Span, f *fault.Fault) {
	span.SetAttributes(attribute.String("chartpost.fault.kind", string(f.Kind)), attribute.String("chartpost.fault.code", f.Code))
	span.SetStatus(codes.Error, f.Code)
}

func contextOf(t schemas.Trace) trace.SpanContext {
	if t == "" {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(t.ID())
	span, err2 := trace.SpanIDFromHex(t.SpanID())
	if errors.Join(err, err2) != nil {
		return trace.SpanContext{}
	}
	var flags trace.TraceFlags
	if t.Sampled() {
		flags = trace.FlagsSampled
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags, Remote: true})
}

func traceOf(c trace.SpanContext) schemas.Trace {
	if !c.IsValid() {
		return ""
	}
	return schemas.NewTrace(c.TraceID().String(), c.SpanID().String(), c.IsSampled())
}

// countedExport counts spans, and keeps the exporter's errors to itself: the SDK
// would print them past the log, with what a collector answered in them.
type countedExport struct {
	sdk.SpanExporter
	exported *prometheus.CounterVec
}

func (c *countedExport) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	result := resultOK
	if err := c.SpanExporter.ExportSpans(ctx, spans); err != nil {
		result = resultError
	}
	c.exported.WithLabelValues(result).Add(float64(len(spans)))
	return nil
}

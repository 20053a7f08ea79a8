package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// parent is the trace that a job came with.
const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

var goodHealth = schemas.Lane{Class: schemas.Live, Destination: "good-health"}

// full is a Telemetry of which every metric has a value.
func full(t *testing.T) (*Telemetry, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	tracer := NewTracer("chartpost", "test", "v0", spans)
	telemetry := New(Settings{Version: "v0", Destinations: 3, Tracer: tracer})
	now := time.Now()
	telemetry.Watch(Parts{
		Worker: func(context.Context) (worker.Look, bool) {
			return worker.Look{Slots: 4, InHand: 1, AwaitingAnswer: 2, Lanes: []worker.LaneLook{{
				State: worker.LaneState{Lane: goodHealth, Limit: 2, Breaker: &worker.Breaker{}, Pause: &worker.Pause{Until: now.Add(time.Hour)}}, Jobs: 7, InHand: 1,
			}}}, true
		},
		Shut:   func() *worker.Shut { return &worker.Shut{} },
		Oldest: func(context.Context, schemas.Lane) (time.Time, bool, error) { return now.Add(-time.Minute), true, nil },
		Checks: func() []Check { return []Check{{"process", true}, {"nats", false}} },
		Token:  func() (time.Time, time.Time) { return now, now.Add(5 * time.Minute) },
		Budget: func() Budget {
			return Budget{Limit: 100, Effective: 90, Live: 1, Backfill: 2, Out: 3, WaitingLive: 4, WaitingBackfill: 5, Held: time.Second, Age: time.Second}
		},
		Unserved: func() Unserved { return Unserved{Waiting: 2, Failed: 1, Jobs: 3} },
		Queue: func() Queue {
			return Queue{Connected: true, Reconnects: 2, Troubles: 1, Streams: []Stream{{"jobs", 3, 1000}, {"dead", 2, 500}}}
		},
	})
	telemetry.registry.MustRegister(newRunGauges(func() Run {
		return Run{Name: "y2019", Lines: 9, InFlight: 3, Unfed: 2, Outcomes: map[string]int64{"accepted": 4}}
	}))
	outcomes := telemetry.Outcomes()
	outcomes.Told(schemas.StatusDelivered)
	outcomes.Searched("search", "")
	outcomes.Stands(&Waiting{Jobs: 3, Oldest: time.Minute})
	telemetry.Leased(3, 2, 1)
	telemetry.Panicked()
	for _, status := range []int{0, 200, 302, 404, 429, 503} {
		telemetry.Request("send", status, time.Second)
	}
	telemetry.Request("token", 200, time.Second)
	w := telemetry.Taken(goodHealth, parent, now)
	for _, step := range steps {
		w.Passed(pipeline.Stage{Step: step, Began: now, Took: time.Millisecond, Bytes: 10})
	}
	f := &fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "redox_status_503", Text: "SECRET", Path: "/SECRET"}
	w.Passed(pipeline.Stage{Step: pipeline.StepSend, Began: now, Took: time.Millisecond, Err: f})
	w.Ended(worker.End{JobID: "job", Attempt: 1, Status: schemas.StatusAccepted, Fault: f, Age: time.Second})
	_, _ = telemetry.Source(broken{}).Stat(t.Context(), schemas.File{}, nil)
	if err := tracer.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return telemetry, spans
}

type broken struct{ pipeline.Source }

func (broken) Stat(context.Context, schemas.File, *job.Pin) (*pipeline.Object, error) {
	return nil, errors.New("SECRET")
}

func gather(t *testing.T, telemetry *Telemetry) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := telemetry.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// TestMetricsKeepConventions: names, units and help as Prometheus has them.
func TestMetricsKeepConventions(t *testing.T) {
	telemetry, _ := full(t)
	families := gather(t, telemetry)
	ours := []*dto.MetricFamily{}
	for name, f := range families {
		if strings.HasPrefix(name, "chartpost_") {
			ours = append(ours, f)
		}
		if strings.Contains(f.String(), "SECRET") {
			t.Errorf("%s holds what it must not: %s", name, f)
		}
	}
	if len(ours) < 35 {
		t.Errorf("only %d metrics", len(ours))
	}
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{"go_goroutines", "process_resident_memory_bytes", "chartpost_build_info", "chartpost_dead_letters"} {
		if families[want] == nil {
			t.Errorf("there is no %s", want)
		}
	}
}

// TestLabelsAreBounded: whatever destinations and codes come, there are not more
// series than were allowed.
func TestLabelsAreBounded(t *testing.T) {
	telemetry := New(Settings{Destinations: 5})
	for i := range 400 {
		for _, class := range []schemas.Class{schemas.Live, schemas.Backfill} {
			w := telemetry.Taken(schemas.Lane{Class: class, Destination: fmt.Sprintf("clinic-%d", i)}, "", time.Now())
			w.Ended(worker.End{Fault: &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: fmt.Sprintf("code_%d", i)}})
			w = telemetry.Taken(schemas.Lane{Class: class, Destination: "clinic-0"}, "", time.Now())
			w.Ended(worker.End{Fault: &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "No word, but /a/path/" + fmt.Sprint(i)}})
		}
	}
	families := gather(t, telemetry)
	if n, want := len(families["chartpost_job_outcomes_total"].Metric), 2*(5+1)*len(statuses); n != want {
		t.Errorf("%d series of outcomes, want %d", n, want)
	}
	if n := len(families["chartpost_job_faults_total"].Metric); n != mostCodes+1 {
		t.Errorf("%d series of faults, want %d", n, mostCodes+1)
	}
	total := 0.0
	for _, m := range families["chartpost_job_outcomes_total"].Metric {
		total += m.GetCounter().GetValue()
	}
	if total != 4*400 {
		t.Errorf("%v outcomes, want all", total)
	}
	for _, m := range families["chartpost_job_faults_total"].Metric {
		for _, l := range m.Label {
			if strings.Contains(l.GetValue(), " ") || strings.Contains(l.GetValue(), "/") {
				t.Errorf("a label is %q", l.GetValue())
			}
		}
	}
}

// TestEveryEndIsCounted: a status without a place among the counts would be lost.
func TestEveryEndIsCounted(t *testing.T) {
	for _, status := range []schemas.Status{
		schemas.StatusAccepted, schemas.StatusRetrying, schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusCancelled, schemas.StatusDuplicate,
	} {
		telemetry := New(Settings{Destinations: 1})
		telemetry.Taken(goodHealth, "", time.Now()).Ended(worker.End{Status: status})
		counted := 0.0
		for _, m := range gather(t, telemetry)["chartpost_job_outcomes_total"].Metric {
			for _, l := range m.Label {
				if l.GetName() == "status" && l.GetValue() == string(status) {
					counted += m.GetCounter().GetValue()
				}
			}
		}
		if counted != 1 {
			t.Errorf("%s was counted %v times", status, counted)
		}
	}
}

// TestAJobAllocatesLittle: one watch, and nothing for each of its steps.
func TestAJobAllocatesLittle(t *testing.T) {
	telemetry := New(Settings{Destinations: 5})
	stage := pipeline.Stage{Step: pipeline.StepSend, Took: time.Millisecond, Bytes: 1}
	n := testing.AllocsPerRun(100, func() {
		w := telemetry.Taken(goodHealth, "", time.Time{})
		for range 10 {
			w.Passed(stage)
		}
		w.Ended(worker.End{Status: schemas.StatusAccepted})
	})
	if n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// TestSpansOfAnAttempt: one for the attempt and one for each step, in the trace
// that the job came with, and without a word that is not ours.
func TestSpansOfAnAttempt(t *testing.T) {
	_, exporter := full(t)
	spans := exporter.GetSpans()
	if len(spans) != len(steps)+2 {
		t.Fatalf("%d spans, want %d", len(spans), len(steps)+2)
	}
	var whole tracetest.SpanStub
	for _, s := range spans {
		if s.Name == "deliver" {
			whole = s
		}
	}
	if whole.Parent.SpanID().String() != schemas.Trace(parent).SpanID() || !whole.Parent.IsRemote() {
		t.Errorf("the attempt's parent is %s", whole.Parent.SpanID())
	}
	for _, s := range spans {
		if s.SpanContext.TraceID().String() != schemas.Trace(parent).ID() {
			t.Errorf("%s is in the trace %s", s.Name, s.SpanContext.TraceID())
		}
		if s.Name != "deliver" && s.Parent.SpanID() != whole.SpanContext.SpanID() {
			t.Errorf("%s has the parent %s", s.Name, s.Parent.SpanID())
		}
		if told := fmt.Sprintf("%+v", s); strings.Contains(told, "SECRET") {
			t.Errorf("%s holds what it must not: %s", s.Name, told)
		}
	}
	attributes := fmt.Sprint(whole.Attributes)
	for _, want := range []string{"chartpost.job_id", "chartpost.class", "chartpost.destination", "chartpost.attempt", "chartpost.status", "redox_status_503"} {
		if !strings.Contains(attributes, want) {
			t.Errorf("the attempt does not tell %s: %s", want, attributes)
		}
	}
}

// TestTheTraceGoesOn: what is published of a job names the attempt's own span,
// and without a tracer what the job came with.
func TestTheTraceGoesOn(t *testing.T) {
	with := New(Settings{Tracer: NewTracer("chartpost", "test", "v0", tracetest.NewInMemoryExporter())})
	got := with.Taken(goodHealth, parent, time.Now()).Trace()
	if got.ID() != schemas.Trace(parent).ID() || got == parent || !got.Sampled() {
		t.Errorf("%q", got)
	}
	if fresh := with.Taken(goodHealth, "", time.Now()).Trace(); fresh.ID() == "" || fresh.ID() == got.ID() {
		t.Errorf("%q", fresh)
	}
	unsampled := schemas.Trace(parent[:len(parent)-1] + "0")
	if got := with.Taken(goodHealth, unsampled, time.Now()).Trace(); got.Sampled() || got.ID() != unsampled.ID() {
		t.Errorf("%q", got)
	}
	without := New(Settings{})
	if got := without.Taken(goodHealth, parent, time.Now()).Trace(); got != parent {
		t.Errorf("%q", got)
	}
}

// TestSpansThatAreLost are counted, and their error goes nowhere.
func TestSpansThatAreLost(t *testing.T) {
	tracer := NewTracer("chartpost", "test", "v0", refusing{})
	telemetry := New(Settings{Tracer: tracer})
	telemetry.Taken(goodHealth, "", time.Now()).Ended(worker.End{})
	if err := tracer.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, m := range gather(t, telemetry)["chartpost_trace_spans_total"].Metric {
		if want := map[string]float64{resultOK: 0, resultError: 1}[m.Label[0].GetValue()]; m.GetCounter().GetValue() != want {
			t.Errorf("%s", m)
		}
	}
}

type refusing struct{}

func (refusing) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return errors.New("SECRET") }
func (refusing) Shutdown(context.Context) error                        { return nil }

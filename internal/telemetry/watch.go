package telemetry

import (
	"time"

	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

var _ worker.Telemetry = (*Telemetry)(nil)

// watch counts one copy of a job, and makes its spans where there is a tracer.
type watch struct {
	meters *meters
	lane   *lane
	trace  schemas.Trace
	spans  *attempt
}

// Taken implements worker.Telemetry.
func (t *Telemetry) Taken(name schemas.Lane, from schemas.Trace, at time.Time) worker.Watch {
	w := &watch{meters: t.meters, lane: t.lanes.get(name), trace: from}
	if t.tracer != nil {
		w.spans = t.tracer.begin(name, from, at)
		w.trace = w.spans.carried()
	}
	return w
}

// Passed implements worker.Watch.
func (w *watch) Passed(s pipeline.Stage) {
	w.meters.passed(s, w.lane)
	if w.spans != nil {
		w.spans.passed(s)
	}
}

// Ended implements worker.Watch.
func (w *watch) Ended(e worker.End) {
	w.meters.ended(e, w.lane)
	if w.spans != nil {
		w.spans.ended(e)
	}
}

// Trace implements worker.Watch.
func (w *watch) Trace() schemas.Trace { return w.trace }

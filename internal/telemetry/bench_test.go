package telemetry

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// BenchmarkJob is what the metrics of one job cost.
func BenchmarkJob(b *testing.B) {
	telemetry := New(Settings{Destinations: 200})
	b.ReportAllocs()
	for b.Loop() {
		w := telemetry.Taken(goodHealth, "", time.Time{})
		for _, step := range steps {
			w.Passed(pipeline.Stage{Step: step, Took: time.Millisecond, Bytes: 100})
		}
		telemetry.Request("send", 200, time.Millisecond)
		w.Ended(worker.End{Status: schemas.StatusAccepted, Age: time.Second})
	}
}

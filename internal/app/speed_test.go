package app

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
)

// BenchmarkDelivery counts jobs a second from the first publish to the last
// final event, with the worker and NATS as their own processes, everything on
// this machine.
func BenchmarkDelivery(b *testing.B) {
	program := buildWorker(b)
	for _, c := range []struct {
		how  schemas.Transfer
		size int
	}{{schemas.Embed, 50_000}, {schemas.Upload, 50_000}, {schemas.Upload, 10_000_000}} {
		b.Run(fmt.Sprintf("%s/%dkB", c.how, c.size/1000), func(b *testing.B) {
			w := newWorld(b, devtest.NATSProcess(b, devstack.NATSOptions{}).URL())
			w.settings.Delivery.Concurrency, w.settings.Delivery.LaneConcurrency = 16, 16
			file := w.put("a.pdf", document(c.size, "a"))
			w.process(program)
			w.publish(w.job("warm", []schemas.File{file}, transfer(c.how)))
			w.final("warm")
			start := time.Now()
			b.ResetTimer()
			for i := range b.N {
				w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}, transfer(c.how)))
			}
			for i := range b.N {
				if event := w.final(fmt.Sprintf("job-%d", i)); event.Data.Status != schemas.StatusAccepted {
					b.Fatalf("job-%d: %s", i, event.Data.Status)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "jobs/s")
			b.SetBytes(int64(c.size))
		})
	}
}

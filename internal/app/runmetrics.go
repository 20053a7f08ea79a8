package app

import (
	"context"
	"log/slog"

	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/telemetry"
)

// RunProgress is how far a backfill run is.
type RunProgress = telemetry.Run

// ServeRun answers /healthz, /readyz and /metrics for the feeder of a run until
// done is called. What stands between it and its queue is in /readyz. Without an
// address it does nothing.
func ServeRun(ctx context.Context, h HTTP, look func() RunProgress, troubles func() []natsq.Trouble, log *slog.Logger) (done func(), err error) {
	var open stack
	about := health.New()
	about.Add("nats", func() health.Check { return queueCheck(troubles()) })
	about.Handle("GET /metrics", telemetry.RunHandler(look, log))
	if err := h.serve(ctx, about, &open, log); err != nil {
		return nil, err
	}
	about.Enter(health.Working)
	return func() { open.close(log) }, nil
}

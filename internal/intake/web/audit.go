package web

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// refusalsPerSecond is how many refusals the log has in a second. A flood of them would
// bury the rest; how many were left out is told with the next.
const refusalsPerSecond = 20

// audit writes refusals to the log: who, what, and the code; nothing of the request.
type audit struct {
	log    *slog.Logger
	limit  *rate.Limiter
	unsaid atomic.Int64
}

func newAudit(log *slog.Logger) *audit {
	return &audit{log: log, limit: rate.NewLimiter(refusalsPerSecond, refusalsPerSecond)}
}

func (a *audit) refused(route, caller string, status int, code string) {
	if !a.limit.Allow() {
		a.unsaid.Add(1)
		return
	}
	a.log.Info("refused", "route", route, "caller", caller, "status", status, "code", code, "unsaid", a.unsaid.Swap(0))
}

package web

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// refusalsPerSecond is how many refusals the log has in a second. A flood of them would
// bury the rest; how many were left out is told with the next.
const refusalsPerSecond = 20

// Audit writes refusals to the log: who, what, and the code; nothing of the request.
type Audit struct {
	log    *slog.Logger
	limit  *rate.Limiter
	unsaid atomic.Int64
}

// NewAudit makes one for a door.
func NewAudit(log *slog.Logger) *Audit {
	return &Audit{log: log, limit: rate.NewLimiter(refusalsPerSecond, refusalsPerSecond)}
}

// Refused notes a refusal, or counts it where there are too many.
func (a *Audit) Refused(route, caller string, status int, code string) {
	if !a.limit.Allow() {
		a.unsaid.Add(1)
		return
	}
	a.log.Info("refused", "route", route, "caller", caller, "status", status, "code", code, "unsaid", a.unsaid.Swap(0))
}

package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/chartpost/chartpost/internal/intake"
)

// Limits are those of one caller; 0 is none.
type Limits struct {
	// Jobs is how many a second; twice as many may come at once.
	Jobs float64
	// Bytes is how many of jobs and files a second, by the second's average.
	Bytes int64
	// Requests is how many may be in hand.
	Requests int
	// Streams is how many event streams may be open.
	Streams int
	// Held is how many bytes of jobs may be in this process's memory.
	Held int64
}

// Quotas hold callers to their limits. Each has its own: none uses up another's. All share
// the memory of jobs, of which one caller has no more than Limits.Held.
type Quotas struct {
	limits Limits
	now    func() time.Time
	// memory is how many bytes of jobs all callers may hold.
	memory int64

	mu      sync.Mutex
	held    int64
	callers map[string]*usage
}

type usage struct {
	jobs, bytes       *rate.Limiter
	requests, streams int
	held              int64
	seen              time.Time
}

// mostCallers bounds the callers that are remembered: then those without a request are
// forgotten, the oldest first. Names are an operator's or a provider's, so they are few.
const mostCallers = 10_000

// byteBurst is how many seconds of bytes may come at once.
const byteBurst = 4

// NewQuotas makes the quotas. memory bounds the jobs of all callers, in bytes.
func NewQuotas(limits Limits, memory int64, now func() time.Time) *Quotas {
	return &Quotas{limits: limits, now: now, memory: memory, callers: map[string]*usage{}}
}

func tooMany(code, detail string, wait time.Duration) error {
	return &intake.Refusal{Kind: intake.Quota, Code: code, Detail: detail, RetryAfter: max(wait, time.Second)}
}

// of gives the usage of a caller; the lock is held.
func (q *Quotas) of(caller string) *usage {
	u := q.callers[caller]
	if u == nil {
		if len(q.callers) >= mostCallers {
			q.forget()
		}
		u = &usage{jobs: limiter(q.limits.Jobs, 2), bytes: limiter(float64(q.limits.Bytes), byteBurst)}
		q.callers[caller] = u
	}
	u.seen = q.now()
	return u
}

func limiter(perSecond, burst float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burst)))
}

// forget drops a tenth of the callers, those that were not seen for longest.
func (q *Quotas) forget() {
	for n := len(q.callers) / 10; n > 0; n-- {
		oldest, at := "", q.now().Add(time.Hour)
		for name, u := range q.callers {
			if u.requests == 0 && u.streams == 0 && u.held == 0 && u.seen.Before(at) {
				oldest, at = name, u.seen
			}
		}
		if oldest == "" {
			return
		}
		delete(q.callers, oldest)
	}
}

// Request takes a place for one request. done gives it back.
func (q *Quotas) Request(caller string) (done func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.of(caller)
	if q.limits.Requests > 0 && u.requests >= q.limits.Requests {
		return nil, tooMany("too_many_requests", fmt.Sprintf("%d requests of this caller are in hand, as many as may", u.requests), time.Second)
	}
	u.requests++
	return func() { q.mu.Lock(); defer q.mu.Unlock(); u.requests-- }, nil
}

// Stream takes a place for an event stream. done gives it back.
func (q *Quotas) Stream(caller string) (done func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.of(caller)
	if q.limits.Streams > 0 && u.streams >= q.limits.Streams {
		return nil, tooMany("too_many_streams", fmt.Sprintf("%d event streams of this caller are open, as many as may", u.streams), 10*time.Second)
	}
	u.streams++
	return func() { q.mu.Lock(); defer q.mu.Unlock(); u.streams-- }, nil
}

// Job takes the right to one job, or says when there is one.
func (q *Quotas) Job(caller string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	r := q.of(caller).jobs.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return tooMany("rate", "this caller's jobs come faster than they may", wait)
	}
	return nil
}

// AwaitJob waits for the right to one job.
func (q *Quotas) AwaitJob(ctx context.Context, caller string) error {
	q.mu.Lock()
	jobs := q.of(caller).jobs
	q.mu.Unlock()
	return jobs.Wait(ctx)
}

// Bytes counts bytes that came, and gives how long to wait before more are read.
func (q *Quotas) Bytes(caller string, n int) time.Duration {
	if q.limits.Bytes <= 0 || n <= 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	u := q.of(caller)
	var wait time.Duration
	for n > 0 {
		part := min(n, u.bytes.Burst())
		wait = u.bytes.ReserveN(now, part).DelayFrom(now)
		n -= part
	}
	return wait
}

// Hold takes memory for n bytes of a job. Release gives it back.
func (q *Quotas) Hold(caller string, n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.of(caller)
	switch {
	case q.limits.Held > 0 && u.held+n > q.limits.Held:
		return tooMany("too_many_bytes", "this caller's jobs in hand are too large together", time.Second)
	case q.held+n > q.memory:
		return &intake.Refusal{Kind: intake.Unavailable, Code: "busy", Detail: "the jobs in hand are too large together; send it again", RetryAfter: time.Second}
	}
	u.held, q.held = u.held+n, q.held+n
	return nil
}

// Release gives memory back.
func (q *Quotas) Release(caller string, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.of(caller)
	u.held, q.held = max(0, u.held-n), q.held-n
}

package app

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxport"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Budget says how many requests Redox takes from this worker's egress address.
type Budget struct {
	Requests int           `default:"7500" help:"Requests that Redox takes from one egress address in a window, until it states its limit; 0 turns the budget off."`
	Window   time.Duration `default:"5m" help:"The rolling window in which Redox counts. The same for every worker of a scope."`
	Scope    string        `default:"default" help:"Name of the egress address. Workers behind one address share a scope, workers behind different ones have different scopes."`
	Bucket   string        `placeholder:"NAME" help:"KV bucket of the shared count, for deployments with different prefixes behind one egress address; setup makes it. Empty is the deployment's own."`
	Reserve  float64       `default:"0.2" help:"Part of the window that backfill leaves for live jobs, 0 to 0.9."`
	Most     int           `default:"0" help:"What the limit that Redox states is capped to; 0 is no cap. An address shared with other programs needs it."`
}

// travel is how long a request may be on its way after it was allowed: the
// ledger is told in between, and a file is opened.
const travel = 3 * time.Second

// Check reports every fault of the settings.
func (b Budget) Check() error {
	var f faults
	if b.Requests < 0 {
		f.add("budget-requests", "must not be negative")
	}
	if b.Window < 10*time.Second || b.Window > 24*time.Hour {
		f.add("budget-window", "must be 10s to 24h")
	}
	if b.Scope == "" || len(b.Scope) > 64 {
		f.add("budget-scope", "must have 1 to 64 characters")
	}
	f.errors(CheckBudgetBucket(b.Bucket))
	if !(b.Reserve >= 0 && b.Reserve <= 0.9) {
		f.add("budget-reserve", "must be 0 to 0.9")
	}
	if b.Most < 0 {
		f.add("budget-most", "must not be negative")
	}
	return f.join()
}

// bucketShape is a name that NATS takes for a bucket (NATS: ADR-8).
var bucketShape = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckBudgetBucket refuses what is neither empty nor the name of a bucket.
func CheckBudgetBucket(name string) error {
	var f faults
	if name != "" && !bucketShape.MatchString(name) {
		f.add("budget-bucket", "must be the name of a bucket: 1 to 64 of A-Z, a-z, 0-9, - and _")
	}
	return f.join()
}

// record is where the count of the scope is kept.
func (b Budget) record(ctx context.Context, queue *natsq.Conn) (*natsq.BudgetRecord, error) {
	if b.Bucket != "" {
		return queue.SharedBudget(ctx, b.Bucket, b.Scope)
	}
	return queue.Budget(ctx, b.Scope)
}

// requests is the budget as the worker, the pipeline and the client see it.
type requests struct {
	*budget.Budget
	// travel is how long a request may be on its way after it was allowed.
	travel time.Duration
	// ended stops it; done is closed when it has given back what is left.
	end  context.CancelFunc
	done chan struct{}
}

var (
	_ worker.Budget        = (*requests)(nil)
	_ redoxclient.Throttle = (*requests)(nil)
	_ redoxport.Budget     = (*requests)(nil)
)

// open starts the shared count. run is a name that no other run has.
func (b Budget) open(ctx context.Context, queue *natsq.Conn, run string, log *slog.Logger) (*requests, error) {
	store, err := b.record(ctx, queue)
	if err != nil {
		return nil, err
	}
	allowed := min(travel, b.Window/20)
	shared, err := budget.New(budget.Settings{
		Requests: b.Requests, Most: b.Most, Window: b.Window, Reserve: b.Reserve, Worker: run, Travel: allowed,
	}, store, time.Now, rand.Float64, log)
	if err != nil {
		return nil, fmt.Errorf("the request budget: %w", err)
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &requests{Budget: shared, travel: allowed, end: end, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		shared.Run(running)
	}()
	return r, nil
}

// close gives back what is left; no request may follow.
func (r *requests) close() error {
	r.end()
	<-r.done
	return nil
}

// requestsPerJob is what a backfill job is taken to cost: a file and a message.
const requestsPerJob = 2

// Room implements worker.Budget.
func (r *requests) Room() int { return r.Available(budget.Backfill) / requestsPerJob }

// Want implements worker.Budget.
func (r *requests) Want(jobs int) { r.Budget.Want(budget.Backfill, jobs*requestsPerJob) }

// Take implements redoxclient.Throttle. Tokens and repeats are everybody's.
func (r *requests) Take(ctx context.Context) error { return r.Budget.Take(ctx, budget.Live, 1) }

// Sent implements redoxclient.Throttle. A request that left late counts once more:
// a slow ledger, file or connection lay between. A third of the time is left to
// its way to Redox.
func (r *requests) Sent(after time.Duration) {
	if after > r.travel*2/3 {
		r.Late(1)
	}
}

// Heard implements redoxclient.Throttle.
func (r *requests) Heard(said redoxclient.LimitSaid) redoxclient.Ruling {
	return redoxclient.Ruling(r.Budget.Heard(budget.Answer{
		Limit: said.Limit, Refused: said.Refused, RetryAfter: said.RetryAfter, Destination: said.Destination,
	}))
}

// Admit implements redoxport.Budget.
func (r *requests) Admit(ctx context.Context, class schemas.Class) error {
	return r.Budget.Take(ctx, classOf(class), 1)
}

// TryAdmit implements redoxport.Budget.
func (r *requests) TryAdmit(class schemas.Class) bool { return r.TryTake(classOf(class), 1) }

func classOf(class schemas.Class) budget.Class {
	if class == schemas.Backfill {
		return budget.Backfill
	}
	return budget.Live
}

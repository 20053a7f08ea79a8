package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Parts are what is asked when the metrics are read. Each answers at once with
// what is known; nil tells nothing. Those that ctx is given to may go and ask.
type Parts struct {
	// Worker is the loop's own view; ok is false where it does not answer.
	Worker func(ctx context.Context) (look worker.Look, ok bool)
	Shut   func() *worker.Shut
	// Oldest is when the oldest job of a lane was stored; ok is false for none.
	Oldest func(ctx context.Context, lane schemas.Lane) (stored time.Time, ok bool, err error)
	Checks func() []Check
	Token  func() (asked, expires time.Time)
	Budget func() Budget
	Queue  func() Queue
	// Unserved counts the lanes that nobody can take a job of.
	Unserved func() Unserved
}

// Unserved counts the lanes that hold jobs which nobody can take although their
// destinations are not shut: Waiting for their turn, Failed since the queue refuses
// them. Jobs are those on subjects that no consumer can have.
type Unserved struct {
	Waiting, Failed int
	Jobs            uint64
}

// Check is one of the checks of /readyz.
type Check struct {
	Name string
	OK   bool
}

// Budget is what is known of the request budget; all count requests.
type Budget struct {
	// Limit is what Redox is believed to take in a window, Effective what may be
	// in it now. Both are 0 when the budget is off, and then nothing is told.
	Limit, Effective int
	// Live and Backfill are spent and still count, Out are permits in workers'
	// hands.
	Live, Backfill, Out int
	// Assumed count too: nobody is known to have spent them, before the record of
	// the budget was made.
	Assumed int
	// WaitingLive and WaitingBackfill wait for their permit in this worker.
	WaitingLive, WaitingBackfill int
	// Held is how long nothing is sent because Redox refused a request.
	Held time.Duration
	// Age is how old the knowledge is.
	Age time.Duration
}

// Queue is what is known of NATS.
type Queue struct {
	Connected  bool
	Reconnects uint64
	Troubles   int
	// Renewed is how many overdue schedules this worker wrote again.
	Renewed uint64
	Streams []Stream
}

// Stream is what a stream held when it was last asked after.
type Stream struct {
	Name            string
	Messages, Bytes uint64
}

// Watch tells of parts from now on, whenever the metrics are read. No part may
// be given twice.
func (t *Telemetry) Watch(p Parts) {
	t.registry.MustRegister(&gauges{parts: p, lanes: t.lanes, oldest: newOldest(p.Oldest)})
}

// gauges reads what stands at one moment.
type gauges struct {
	parts  Parts
	lanes  *lanes
	oldest *oldest
}

// lookTime is how long the worker's loop may take to answer, and oldestTime how
// long the queue is asked for the oldest jobs.
const (
	lookTime   = time.Second
	oldestTime = 2 * time.Second
)

// lone describes a gauge; a name that ends in _total is a counter.
func lone(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	slotsDesc  = lone("chartpost_worker_slots", "Jobs this worker may have in hand at once.")
	inHandDesc = lone("chartpost_worker_jobs_in_hand", "Slots of this worker in use.")
	parkedDesc = lone("chartpost_worker_jobs_parked", "Jobs of this worker that wait for an answer, or hardly move, and keep no slot.")
	gateDesc   = lone("chartpost_gate_shut", "1 while this worker takes no job because something that all of them need has failed.")
	checkDesc  = lone("chartpost_check_ok", "The checks of /readyz: 1 is well. The worker is ready when all are.", "check")

	lanesHeldDesc  = lone("chartpost_lanes_held", "Lanes that hold jobs, by what holds them most, as this worker sees it: gates_shut is its own gate, and none means that they move. The worker that looks after the lanes tells of all: take the maximum.", "state")
	laneJobsDesc   = lone("chartpost_lane_jobs", "Jobs in a lane, those in anybody's hands included. The worker that looks after the lanes tells of all that hold jobs, the others of those that they may ask: take the maximum.", "class", "destination")
	unservedDesc   = lone("chartpost_lanes_unserved", "Lanes that hold jobs which nobody can take, although their destinations are not shut: waiting for their turn, or refused by the queue. The worker that looks after the lanes tells of them.", "why")
	unservableDesc = lone("chartpost_jobs_unservable", "Jobs on subjects that no consumer can have; an administrator must remove them.")
	laneHandDesc   = lone("chartpost_lane_jobs_in_hand", "Jobs of a lane that this worker has in hand.", "class", "destination")
	laneOldestDesc = lone("chartpost_lane_oldest_job_timestamp_seconds", "When the oldest job in a lane was published or brought back by its schedule, by the queue's clock. Every worker sees the same.", "class", "destination")
	laneBrokenDesc = lone("chartpost_lane_broken", "1 from the opening of a lane's breaker until a probe went well.", "class", "destination")
	lanePausedDesc = lone("chartpost_lane_paused", "1 while an operator holds a lane.", "class", "destination")
	laneLimitDesc  = lone("chartpost_lane_limit_jobs", "An operator's limit of jobs in hand for a lane; lanes without one are not told of.", "class", "destination")

	tokenAskedDesc   = lone("chartpost_token_request_timestamp_seconds", "When the token in use was asked for.")
	tokenExpiresDesc = lone("chartpost_token_expiry_timestamp_seconds", "When the token in use ends. One is asked for when a job needs it: an idle worker's has ended.")

	budgetLimitDesc     = lone("chartpost_budget_limit_requests", "Requests that Redox is believed to take in a window, for all workers of the scope.")
	budgetEffectiveDesc = lone("chartpost_budget_effective_limit_requests", "Requests that may be in the window now: less than the limit after a refusal.")
	budgetUsedDesc      = lone("chartpost_budget_used_requests", "Requests that count against the limit, of all workers of the scope: spent for live or backfill, held as permits, or assumed because the record is new.", "by")
	budgetWaitingDesc   = lone("chartpost_budget_waiting_requests", "Requests of this worker that wait for their permit.", "class")
	budgetHeldDesc      = lone("chartpost_budget_held_seconds", "How long nothing is sent from now on because Redox refused a request.")
	budgetAgeDesc       = lone("chartpost_budget_age_seconds", "How long ago this worker read the shared count.")

	natsConnectedDesc  = lone("chartpost_nats_connected", "1 while the connection to NATS stands.")
	natsReconnectsDesc = lone("chartpost_nats_reconnects_total", "Times the connection to NATS was made again.")
	natsTroublesDesc   = lone("chartpost_nats_troubles", "What stands between this worker and its queue at this moment; /readyz says what.")
	renewedDesc        = lone("chartpost_schedules_renewed_total", "Schedules that NATS had not fired a minute after their time and that this worker wrote again.")
	streamMessagesDesc = lone("chartpost_stream_messages", "Messages in a stream. Every worker sees the same.", "stream")
	streamBytesDesc    = lone("chartpost_stream_size_bytes", "Bytes of a stream in its store. Every worker sees the same.", "stream")
	deadDesc           = lone("chartpost_dead_letters", "Dead letters that wait for an operator. Every worker sees the same.")
)

// Describe implements prometheus.Collector: what is not described is checked
// when it is collected.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	s := sink{out}
	g.worker(s)
	if g.parts.Checks != nil {
		for _, c := range g.parts.Checks() {
			s.flag(checkDesc, c.OK, c.Name)
		}
	}
	if g.parts.Token != nil {
		if asked, expires := g.parts.Token(); !expires.IsZero() {
			s.gauge(tokenAskedDesc, seconds(asked))
			s.gauge(tokenExpiresDesc, seconds(expires))
		}
	}
	if g.parts.Unserved != nil {
		unserved := g.parts.Unserved()
		s.gauge(unservedDesc, float64(unserved.Waiting), "turn")
		s.gauge(unservedDesc, float64(unserved.Failed), "refused")
		s.gauge(unservableDesc, float64(unserved.Jobs))
	}
	if g.parts.Budget != nil {
		s.budget(g.parts.Budget())
	}
	if g.parts.Queue != nil {
		s.queue(g.parts.Queue())
	}
}

func (g *gauges) worker(s sink) {
	if g.parts.Shut != nil {
		s.flag(gateDesc, g.parts.Shut() != nil)
	}
	if g.parts.Worker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	look, ok := g.parts.Worker(ctx)
	if !ok {
		return
	}
	s.gauge(slotsDesc, float64(look.Slots))
	s.gauge(inHandDesc, float64(look.InHand))
	s.gauge(parkedDesc, float64(look.AwaitingAnswer))
	for state, lanes := range g.held(look.Lanes, time.Now()) {
		s.gauge(lanesHeldDesc, float64(lanes), state)
	}
	for name, one := range g.summed(look.Lanes, g.oldest.of(look.Lanes, time.Now())) {
		s.lane(name, one)
	}
}

// heldStates are what a worker can know of a lane by itself.
var heldStates = []diagnosis.State{diagnosis.LaterVersion, diagnosis.Paused, diagnosis.Broken, diagnosis.Probing, diagnosis.GatesShut}

// Held counts the lanes that hold jobs by what holds them most, as far as a worker knows
// by itself. The empty state is that nothing does. shut is nil where its gate is open.
func Held(all []worker.LaneLook, shut *worker.Shut, now time.Time) map[diagnosis.State]int {
	counts := map[diagnosis.State]int{}
	self := diagnosis.Worker{}
	if shut != nil {
		self.Gate = &diagnosis.Gate{Until: shut.Until, Code: shut.Reason.Code}
	}
	fleet := &diagnosis.Fleet{Workers: []diagnosis.Worker{self}}
	for _, l := range all {
		if l.Jobs > 0 {
			counts[diagnosis.Why(diagnosis.Facts{Now: now, Fleet: fleet, Lane: &diagnosis.Lane{State: l.State}}).First().State]++
		}
	}
	return counts
}

// held is Held with a name for each state, also those without a lane.
func (g *gauges) held(all []worker.LaneLook, now time.Time) map[string]int {
	var shut *worker.Shut
	if g.parts.Shut != nil {
		shut = g.parts.Shut()
	}
	counts := Held(all, shut, now)
	named := map[string]int{"none": counts[""]}
	for _, state := range heldStates {
		named[string(state)] = counts[state]
	}
	return named
}

// laneSum is what is told of a lane, or of all others of its class together.
type laneSum struct {
	jobs           uint64
	inHand, limit  int
	broken, paused int
	limitStated    bool
	// oldest is zero where the lane holds nothing, or nothing is known.
	oldest time.Time
}

// summed adds up the lanes that have one label.
func (g *gauges) summed(all []worker.LaneLook, born map[schemas.Lane]time.Time) map[schemas.Lane]*laneSum {
	sums := make(map[schemas.Lane]*laneSum, len(all))
	for _, l := range all {
		name := g.lanes.labeled(l.State.Lane)
		one := sums[name]
		if one == nil {
			one = &laneSum{}
			sums[name] = one
		}
		one.jobs += l.Jobs
		one.inHand += l.InHand
		if l.State.Breaker != nil {
			one.broken++
		}
		if l.State.Pause != nil && time.Now().Before(l.State.Pause.Until) {
			one.paused++
		}
		if l.State.Limit > 0 {
			one.limit, one.limitStated = one.limit+l.State.Limit, true
		}
		if at, known := born[l.State.Lane]; known && (one.oldest.IsZero() || at.Before(one.oldest)) {
			one.oldest = at
		}
	}
	return sums
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

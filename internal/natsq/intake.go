package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// The server's idle heartbeat on a long ask, and how long a missing one is
// forgiven: a leader that died says nothing.
const (
	idleHeartbeat = 5 * time.Second
	silence       = 2*idleHeartbeat + time.Second
	// shortAsk gets no heartbeats; it is over when its wait is.
	shortAsk = 2 * idleHeartbeat
	sweep    = 500 * time.Millisecond
)

// LaneSettings are what every lane's consumer is made with.
type LaneSettings struct {
	// Concurrency is how many jobs of one lane the whole fleet works at once
	// (MaxAckPending).
	Concurrency int
	// Lease is how long a worker may be silent about a job (AckWait).
	Lease time.Duration
}

// Intake takes jobs. It speaks the pull protocol itself, on one subscription
// for all lanes, because the library's Fetch makes a subscription for each call
// and drops what arrives after its context has ended: that job would stay
// leased, unseen, until its lease is over.
type Intake struct {
	conn     *Conn
	settings LaneSettings
	inbox    string
	sub      *nats.Subscription
	answers  chan worker.Answer
	done     chan struct{}

	mu      sync.Mutex
	made    map[schemas.Lane]bool
	asks    map[uint64]*ask
	open    map[schemas.Lane]uint64
	last    uint64
	stopped bool
}

// ask is an open pull request.
type ask struct {
	lane schemas.Lane
	left int
	// heard is when the server last spoke of it; silent is how long it may not.
	heard  time.Time
	silent time.Duration
}

var _ worker.Intake = (*Intake)(nil)

// Intake opens the way in for jobs; capacity is how many answers may wait to be
// read, and must not be smaller than the most that is ever asked for at once.
func (c *Conn) Intake(settings LaneSettings, capacity int) (*Intake, error) {
	in := &Intake{
		conn: c, settings: settings, inbox: c.nc.NewInbox(),
		answers: make(chan worker.Answer, capacity), done: make(chan struct{}),
		made: map[schemas.Lane]bool{}, asks: map[uint64]*ask{}, open: map[schemas.Lane]uint64{},
	}
	sub, err := c.nc.Subscribe(in.inbox+".*", in.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribing for jobs: %w", err)
	}
	in.sub = sub
	go in.sweepSilent()
	return in, nil
}

// Lanes implements worker.Intake: it reads the subjects that hold jobs and
// makes a durable consumer for each lane that this worker has not seen.
func (in *Intake) Lanes(ctx context.Context) ([]worker.Depth, error) {
	stream, err := in.conn.js.Stream(ctx, in.conn.stream(jobs))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(in.conn.prefix+".jobs.>"))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	depths := make([]worker.Depth, 0, len(info.State.Subjects))
	var faults []error
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ParseJobSubject(in.conn.prefix, subject)
		if err != nil {
			faults = append(faults, fmt.Errorf("%d jobs were published to a subject that is no lane: %w", n, err))
			continue
		}
		if err := in.ensure(ctx, lane); err != nil {
			faults = append(faults, err)
			continue
		}
		depths = append(depths, worker.Depth{Lane: lane, Jobs: n})
	}
	return depths, errors.Join(faults...)
}

// ensure makes the lane's consumer unless this worker knows that it exists.
func (in *Intake) ensure(ctx context.Context, lane schemas.Lane) error {
	in.mu.Lock()
	known := in.made[lane]
	in.mu.Unlock()
	if known {
		return nil
	}
	_, err := in.conn.js.CreateOrUpdateConsumer(ctx, in.conn.stream(jobs), jetstream.ConsumerConfig{
		Durable:       lane.Name(),
		Description:   "Chartpost lane",
		FilterSubject: schemas.JobSubject(in.conn.prefix, lane),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       in.settings.Lease,
		MaxAckPending: in.settings.Concurrency,
		// A job is given up by its own deadline, never by a count.
		MaxDeliver: -1,
		MaxWaiting: 512,
	})
	if err != nil {
		return fmt.Errorf("making the consumer of lane %s: %w", lane.Name(), err)
	}
	in.mu.Lock()
	in.made[lane] = true
	in.mu.Unlock()
	return nil
}

// errBusy refuses a second ask of a lane, and any after Stop.
var errBusy = errors.New("the lane is being asked already, or the intake has stopped")

// pullRequest is the body of a request for jobs.
// NATS: "JetStream wire API", CONSUMER.MSG.NEXT.
type pullRequest struct {
	Batch     int           `json:"batch"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
}

// Ask implements worker.Intake.
func (in *Intake) Ask(lane schemas.Lane, n int, wait time.Duration) (uint64, error) {
	request := pullRequest{Batch: n, Expires: wait}
	a := &ask{lane: lane, left: n, heard: time.Now(), silent: wait + time.Second}
	if wait > shortAsk {
		request.Heartbeat, a.silent = idleHeartbeat, silence
	}
	body, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	in.mu.Lock()
	if _, busy := in.open[lane]; busy || in.stopped {
		in.mu.Unlock()
		return 0, errBusy
	}
	in.last++
	number := in.last
	in.asks[number], in.open[lane] = a, number
	in.mu.Unlock()
	subject := "$JS.API.CONSUMER.MSG.NEXT." + in.conn.stream(jobs) + "." + lane.Name()
	if err := in.conn.nc.PublishRequest(subject, in.inbox+"."+strconv.FormatUint(number, 10), body); err != nil {
		in.abandon(number, lane)
		return 0, fmt.Errorf("asking for jobs: %w", err)
	}
	return number, nil
}

func (in *Intake) abandon(number uint64, lane schemas.Lane) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.close(number, lane)
}

// Answers implements worker.Intake.
func (in *Intake) Answers() <-chan worker.Answer { return in.answers }

// Stop implements worker.Intake. Draining makes sure that a job on its way is
// given back instead of staying leased to nobody.
func (in *Intake) Stop() {
	in.mu.Lock()
	if in.stopped {
		in.mu.Unlock()
		return
	}
	in.stopped = true
	in.mu.Unlock()
	close(in.done)
	drained := in.sub.StatusChanged(nats.SubscriptionClosed)
	if err := in.sub.Drain(); err != nil {
		return
	}
	select {
	case <-drained:
	case <-time.After(apiTimeout):
	}
}

// receive handles everything that comes to the inbox. It runs on one goroutine
// and must not block for long.
//
// A job arrives under the subject it was published to, a status under the
// inbox's own: only the latter names its ask. A job is counted to the open ask
// of its lane, which is why a lane has one at a time.
func (in *Intake) receive(msg *nats.Msg) {
	if token, ok := strings.CutPrefix(msg.Subject, in.inbox+"."); ok {
		if number, err := strconv.ParseUint(token, 10, 64); err == nil {
			in.status(number, msg.Header.Get("Status"), msg.Header.Get("Description"))
		}
		return
	}
	d, err := newDelivery(in.conn, msg)
	if err != nil {
		in.conn.log.Error("a message that is no job came to the inbox", "error", err)
		return
	}
	number, finished, stopped := in.count(d.lane)
	if stopped {
		if err := d.GiveBack(0); err != nil {
			in.conn.log.Warn("a job could not be given back; it returns when its lease ends", "error", reasonOf(err))
		}
		return
	}
	in.answers <- worker.Answer{Lane: d.lane, Ask: number, Delivery: d}
	if finished {
		in.answers <- worker.Answer{Lane: d.lane, Ask: number, Done: true}
	}
}

// count books one job of lane to its open ask.
func (in *Intake) count(lane schemas.Lane) (number uint64, finished, stopped bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	number, ok := in.open[lane]
	if !ok {
		return 0, false, in.stopped
	}
	a := in.asks[number]
	a.left--
	a.heard = time.Now()
	if a.left == 0 {
		in.close(number, lane)
		return number, true, in.stopped
	}
	return number, false, in.stopped
}

// close forgets an ask; the lock is held.
func (in *Intake) close(number uint64, lane schemas.Lane) {
	delete(in.asks, number)
	if in.open[lane] == number {
		delete(in.open, lane)
	}
}

// status handles what the server says of an ask instead of a job.
// NATS: 100 is a heartbeat; 404 and 408 end an ask that found nothing; 409 ends
// it for a reason, among them a paused or deleted consumer.
func (in *Intake) status(number uint64, status, description string) {
	if status == "100" {
		in.mu.Lock()
		if a := in.asks[number]; a != nil {
			a.heard = time.Now()
		}
		in.mu.Unlock()
		return
	}
	refused := status != "404" && status != "408"
	lane, ok := in.end(number, refused)
	if ok && refused {
		in.conn.log.Warn("the queue refused to serve a lane", "lane", lane.Name(), "status", status, "reason", description)
	}
}

// end closes an ask and answers that it is done. When it was refused, the next
// listing of lanes looks after the lane's consumer again: it may be gone.
func (in *Intake) end(number uint64, refused bool) (schemas.Lane, bool) {
	in.mu.Lock()
	a, ok := in.asks[number]
	if !ok {
		in.mu.Unlock()
		return schemas.Lane{}, false
	}
	in.close(number, a.lane)
	if refused {
		delete(in.made, a.lane)
	}
	stopped := in.stopped
	in.mu.Unlock()
	if !stopped {
		in.answers <- worker.Answer{Lane: a.lane, Ask: number, Done: true, Unfilled: a.left, Refused: refused}
	}
	return a.lane, true
}

// sweepSilent ends the asks the server has forgotten: after a reconnect, a lost
// leader or a lost message nothing else would.
func (in *Intake) sweepSilent() {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-in.done:
			return
		case now := <-ticker.C:
			for _, number := range in.silentAsks(now) {
				in.end(number, true)
			}
		}
	}
}

func (in *Intake) silentAsks(now time.Time) []uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	var silent []uint64
	for number, a := range in.asks {
		if now.Sub(a.heard) > a.silent {
			silent = append(silent, number)
		}
	}
	return silent
}

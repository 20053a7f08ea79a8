package natsq

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
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
	pace     pace
	inbox    string
	sub      *nats.Subscription
	answers  chan worker.Answer
	done     chan struct{}
	asks     *asks
	board    *board
	// standing is what the coordinator knows; nil where another worker's does.
	standing atomic.Pointer[Standing]
	control  *Control
	tenure   *tenure
	// background are the goroutines that end with the intake.
	background sync.WaitGroup
}

var _ worker.Intake = (*Intake)(nil)

// Intake opens the way in for jobs. capacity is how many answers may wait to be
// read; when it is too small, what comes waits at the server's side of the
// connection and nothing is lost.
func (c *Conn) Intake(settings LaneSettings, capacity int) (*Intake, error) {
	return c.intake(settings, capacity, defaultPace)
}

func (c *Conn) intake(settings LaneSettings, capacity int, pace pace) (*Intake, error) {
	in := &Intake{
		conn: c, settings: settings, pace: pace, inbox: c.nc.NewInbox(),
		answers: make(chan worker.Answer, capacity), done: make(chan struct{}), asks: newAsks(), board: newBoard(), control: c.control(),
	}
	sub, err := c.nc.Subscribe(in.inbox+".*", in.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribing for jobs: %w", err)
	}
	// What comes was asked for, so it is bounded; the library's own limit would
	// drop jobs, and they would stay leased to nobody.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribing for jobs: %w", err)
	}
	in.sub = sub
	offers, err := c.nc.Subscribe(c.offerSubject(), func(msg *nats.Msg) { in.board.received(msg, in.inbox) })
	if err != nil {
		return nil, fmt.Errorf("subscribing for the lanes: %w", err)
	}
	in.background.Go(in.sweep)
	lanes := newCoordinator(in)
	in.tenure = lanes.tenure
	in.background.Go(lanes.run)
	in.background.Go(func() { <-in.done; offers.Unsubscribe() })
	return in, nil
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

// Ask implements worker.Intake. It fails at once while the connection is lost.
func (in *Intake) Ask(lane schemas.Lane, n int, wait time.Duration) (uint64, error) {
	request := pullRequest{Batch: n, Expires: wait}
	if in.pace.long(wait) {
		request.Heartbeat = in.pace.heartbeat
	}
	body, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	number, ok := in.asks.add(&ask{
		lane: lane, left: n, heard: time.Now(), silence: in.pace.silence(wait), life: in.conn.life(),
	})
	if !ok {
		return 0, errBusy
	}
	subject := "$JS.API.CONSUMER.MSG.NEXT." + in.conn.stream(jobs) + "." + consumerName(lane)
	if err := in.conn.nc.PublishRequest(subject, in.inbox+"."+strconv.FormatUint(number, 10), body); err != nil {
		in.asks.end(number)
		return 0, fmt.Errorf("asking for jobs: %w", err)
	}
	return number, nil
}

// HasTenure reports whether this worker is the one that does what only one of the
// fleet should do.
func (in *Intake) HasTenure() bool { return in.tenure.mine(time.Now()) }

// Offer implements worker.Intake.
func (in *Intake) Offer() worker.Offer { return in.board.depths() }

// Offered implements worker.Intake.
func (in *Intake) Offered() <-chan struct{} { return in.board.changed }

// Answers implements worker.Intake.
func (in *Intake) Answers() <-chan worker.Answer { return in.answers }

// Stop implements worker.Intake. Draining makes sure that a job on its way is
// given back instead of staying leased to nobody, and so is one that nobody has
// read from Answers.
func (in *Intake) Stop() {
	if !in.asks.stop() {
		return
	}
	close(in.done)
	in.background.Wait()
	in.drain()
	for {
		select {
		case a := <-in.answers:
			in.returnUnread(a)
		default:
			in.conn.flush()
			return
		}
	}
}

// drain ends the subscription after what is on its way has come.
func (in *Intake) drain() {
	if !in.conn.Connected() {
		in.sub.Unsubscribe()
		return
	}
	drained := in.sub.StatusChanged(nats.SubscriptionClosed)
	if err := in.sub.Drain(); err != nil {
		return
	}
	select {
	case <-drained:
	case <-time.After(apiTimeout):
	}
}

// receive handles everything that comes to the inbox, on one goroutine.
//
// A job arrives under the subject it was published to, a status under the
// inbox's own: only the latter names its ask, and no publisher can forge it. A
// job is counted to the open ask of its lane, which is why a lane has one at a
// time.
func (in *Intake) receive(msg *nats.Msg) {
	if token, ok := strings.CutPrefix(msg.Subject, in.inbox+"."); ok {
		if number, err := strconv.ParseUint(token, 10, 64); err == nil {
			in.status(number, msg.Header.Get("Status"), msg.Header.Get("Description"))
		}
		return
	}
	d, err := newDelivery(in.conn, msg)
	if err != nil {
		in.conn.log.Error("a message that is no job came to the inbox", "error", reasonOf(err))
		return
	}
	if p := in.conn.allPaused.Load(); p != nil && time.Now().Before(p.Until) {
		in.refuse(d)
		return
	}
	number, finished, stopped := in.asks.arrived(d.lane, time.Now())
	a := worker.Answer{Lane: d.lane, Ask: number, Delivery: d}
	if stopped {
		in.returnUnread(a)
		return
	}
	in.answer(a)
	if finished {
		in.answer(worker.Answer{Lane: d.lane, Ask: number, Done: true})
	}
}

// refuse gives a job back that came for an open ask although all lanes are paused, and
// ends the ask.
func (in *Intake) refuse(d *delivery) {
	in.returnUnread(worker.Answer{Lane: d.lane, Delivery: d})
	if number, open := in.asks.of(d.lane); open {
		in.end(number, false)
	}
}

// answer hands an answer over, or gives its job back when the intake stops
// before anybody reads it.
func (in *Intake) answer(a worker.Answer) {
	select {
	case in.answers <- a:
	case <-in.done:
		in.returnUnread(a)
	}
}

func (in *Intake) returnUnread(a worker.Answer) {
	if a.Delivery == nil {
		return
	}
	if err := a.Delivery.GiveBack(0); err != nil {
		in.conn.log.Warn("a job could not be given back; it returns when its lease ends", "error", reasonOf(err))
	}
}

// status handles what the server says of an ask instead of a job.
// NATS: 100 is a heartbeat; 404 and 408 end an ask that found nothing; 409 ends
// it for a reason, among them a deleted consumer; 503 says that there is none.
func (in *Intake) status(number uint64, status, description string) {
	if status == "100" {
		in.asks.heard(number, time.Now())
		return
	}
	refused := status != "404" && status != "408"
	lane, ok := in.end(number, refused)
	if ok && refused {
		in.conn.log.Warn("the queue refused to serve a lane", "class", lane.Class, "destination", lane.Destination, "status", status, "reason", description)
	}
}

// end closes an ask and answers that it is done. refused: the lane's consumer may be
// gone.
func (in *Intake) end(number uint64, refused bool) (schemas.Lane, bool) {
	a, ok, stopped := in.asks.end(number)
	if !ok {
		return schemas.Lane{}, false
	}
	if !stopped {
		in.answer(worker.Answer{Lane: a.lane, Ask: number, Done: true, Unfilled: a.left, Refused: refused})
	}
	return a.lane, true
}

// sweep ends the asks the server has forgotten: after a reconnect, a lost
// leader or a lost message nothing else would.
func (in *Intake) sweep() {
	ticker := time.NewTicker(in.pace.sweep)
	defer ticker.Stop()
	for {
		select {
		case <-in.done:
			return
		case <-ticker.C:
			for _, number := range in.asks.dead(time.Now(), in.conn.life()) {
				in.end(number, true)
			}
		}
	}
}

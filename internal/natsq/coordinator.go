package natsq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// coordinator is the part of an intake that serves the whole fleet, while this worker
// has the tenure: it lists the lanes, makes and removes their consumers, and tells
// every worker which lanes can be asked.
type coordinator struct {
	in     *Intake
	tenure *tenure
	// fresh are lanes with new jobs, and changed the states of lanes; both wake it.
	fresh  *freshLanes
	states *laneStates
	strays *straysHeld
	late   *overdue

	// The rest is of the tenure at hand. One goroutine uses it.
	roster *roster
	// limits are the jobs in hand that each consumer was made for.
	limits map[schemas.Lane]int
	// replicas are those of the jobs stream.
	replicas int
	// listedAt and syncedAt are when lanes and consumers were last listed, and
	// sweptAt when lost messages and overdue schedules were last looked for.
	listedAt, syncedAt, sweptAt time.Time
	// consumers is how many the stream has by the last listing.
	consumers int
	// unservable counts the jobs on subjects that no consumer can filter.
	unservable uint64
	strayLanes []schemas.Lane
	// suspects are the lanes with a message that their consumer believes settled.
	suspects map[schemas.Lane]uint64
	// told is the offer that the fleet was told last.
	told offer
	// unservedAt is when it was last written which lanes are not served, and
	// unservedNoted whether that says of any.
	unservedAt    time.Time
	unservedNoted bool
}

// idleAfter is how long a lane without jobs keeps its consumer while no other lane
// waits for one: its next job is there at once.
const idleAfter = time.Minute

func newCoordinator(in *Intake) *coordinator {
	t := newTenure(in.conn, in.inbox, in.pace.term)
	return &coordinator{
		in: in, tenure: t, fresh: newFreshLanes(), states: newLaneStates(), strays: newStraysHeld(in.conn, t),
		late: newOverdue(in, t),
	}
}

// run serves until the intake stops.
func (c *coordinator) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-c.in.done; cancel() }()
	for ctx.Err() == nil {
		if c.in.board.silent(time.Now(), c.in.pace.term) {
			mine, err := c.tenure.take(ctx)
			c.in.conn.tried("taking the tenure of the lanes", "", time.Now(), err)
			if mine {
				c.serve(ctx)
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.in.pace.beat):
		}
	}
}

// serve goes on for as long as this worker has the tenure.
func (c *coordinator) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		stopping, end := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer end()
		cancel()
		c.in.standing.Store(nil)
		c.tenure.resign(stopping)
	}()
	news, err := c.in.conn.nc.Subscribe(c.in.conn.newSubject("*.*"), c.noticed)
	if err != nil {
		return
	}
	defer news.Unsubscribe()
	c.states.reset()
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() { c.in.control.follow(ctx, c.states.note, c.states.complete) })
	c.begin()
	c.in.conn.log.Info("this worker looks after the lanes now")
	for ctx.Err() == nil && c.renew(ctx) {
		began := time.Now()
		c.cycle(ctx)
		select {
		case <-ctx.Done():
		case <-c.fresh.some:
		case <-c.states.changed:
		case <-time.After(c.pause()):
		}
		// Many new lanes at once are one cycle's.
		if rest := cycleEvery - time.Since(began); rest > 0 {
			time.Sleep(rest)
		}
	}
}

// cycleEvery is the least time between two cycles.
const cycleEvery = 20 * time.Millisecond

// begin forgets what was known in an earlier tenure.
func (c *coordinator) begin() {
	c.roster = newRoster(0, c.in.pace.turn, idleAfter)
	c.limits, c.suspects = map[schemas.Lane]int{}, map[schemas.Lane]uint64{}
	c.listedAt, c.syncedAt, c.sweptAt = time.Time{}, time.Time{}, time.Now()
	c.told = offer{}
}

// renew makes sure of the tenure; false where another worker has it.
func (c *coordinator) renew(ctx context.Context) bool {
	now := time.Now()
	if left := c.tenure.left(now); left > c.in.pace.term/2 {
		return true
	}
	if _, err := c.tenure.take(ctx); err != nil {
		c.in.conn.tried("taking the tenure of the lanes", "", now, err)
	}
	return c.tenure.mine(time.Now())
}

// pause is the time until the next cycle where nothing wakes it.
func (c *coordinator) pause() time.Duration {
	if c.told.Scarce || len(c.strayLanes) > 0 {
		return c.in.pace.beat / 4
	}
	if c.roster.busy() {
		return c.in.pace.beat / 2
	}
	return c.in.pace.beat
}

// noticed takes in the headers of a job that was stored.
func (c *coordinator) noticed(msg *nats.Msg) {
	tail, ok := strings.CutPrefix(msg.Subject, c.in.conn.newSubject(""))
	if !ok || c.in.board.offers(tail) {
		return
	}
	if lane, err := schemas.ParseTail(tail); err == nil {
		c.fresh.add(lane)
	}
}

// cycle lists what is to be listed, changes what is to be changed, and tells the
// fleet. What fails is told to Troubles and done again.
func (c *coordinator) cycle(ctx context.Context) {
	if !c.states.listed() {
		return
	}
	now := time.Now()
	if err := c.list(ctx, now); err != nil && ctx.Err() == nil {
		return
	}
	for lane := range c.fresh.take() {
		c.roster.arrived(lane, now)
	}
	steps := c.roster.plan(c.states.shut(now), now)
	c.release(ctx, steps)
	if steps.scarce { // what was released makes room
		steps = c.roster.plan(c.states.shut(now), now)
	}
	c.makeAll(ctx, steps.make)
	c.relimit(ctx)
	c.tell(steps.scarce)
	c.stand()
	c.noteUnserved(ctx)
	c.handStrays(ctx)
	c.sweep(ctx)
}

// list reads which subjects hold jobs: often while some do.
func (c *coordinator) list(ctx context.Context, now time.Time) error {
	every := c.in.pace.list
	if c.roster.busy() || len(c.strayLanes) > 0 {
		every = c.in.pace.beat / 4
	}
	if now.Sub(c.listedAt) < every {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	began := time.Now()
	stream, err := c.in.conn.js.Stream(ctx, c.in.conn.stream(jobs))
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(c.in.conn.prefix+".jobs.>"))
	}
	c.in.conn.tried("listing the lanes", "", began, err)
	if err != nil {
		return fmt.Errorf("listing lanes: %w", err)
	}
	c.listedAt = now
	c.in.conn.clock.saw(info.TimeStamp, began, time.Now())
	c.consumers, c.replicas = info.State.Consumers, info.Config.Replicas
	c.roster.most = max(info.Config.MaxConsumers-spareConsumers, 1)
	found := make(map[schemas.Lane]uint64, len(info.State.Subjects))
	c.strayLanes, c.unservable = nil, 0
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ServedLane(c.in.conn.prefix, subject)
		switch {
		case err != nil:
			c.unservable += n
		case lane.Stray():
			c.strayLanes = append(c.strayLanes, lane)
		default:
			found[lane] = n
		}
	}
	c.roster.listed(found, now)
	return c.sync(ctx, now)
}

// syncAfter is how long the coordinator believes its own count of the consumers.
const syncAfter = 5 * time.Second

// sync lists the consumers where there are others than it knows of: at the beginning
// of a tenure, and when the server has removed one.
func (c *coordinator) sync(ctx context.Context, now time.Time) error {
	if !c.syncedAt.IsZero() && (c.consumers == len(c.limits) || now.Sub(c.syncedAt) < syncAfter) {
		return nil
	}
	infos, err := c.infos(ctx)
	if err != nil {
		c.in.conn.tried("listing the lanes' consumers", "", now, err)
		c.listedAt = time.Time{}
		return err
	}
	c.syncedAt = now
	has := map[schemas.Lane]bool{}
	clear(c.limits)
	for lane, info := range infos {
		has[lane], c.limits[lane] = true, info.Config.MaxAckPending
		if info.Config.AckWait != c.in.settings.Lease {
			c.limits[lane] = 0 // relimit brings it to the settings
		}
	}
	c.roster.has(has, now)
	return nil
}

// infos are what the lanes' consumers say.
func (c *coordinator) infos(ctx context.Context) (map[schemas.Lane]*jetstream.ConsumerInfo, error) {
	stream, err := c.in.conn.js.Stream(ctx, c.in.conn.stream(jobs))
	if err != nil {
		return nil, err
	}
	all := map[schemas.Lane]*jetstream.ConsumerInfo{}
	lister := stream.ListConsumers(ctx)
	for info := range lister.Info() {
		if lane, err := schemas.ParseJobSubject(c.in.conn.prefix, info.Config.FilterSubject); err == nil && info.Name == consumerName(lane) {
			all[lane] = info
		}
	}
	return all, lister.Err()
}

// tell sends the fleet the lanes that can be asked, and keeps them for this worker.
func (c *coordinator) tell(scarce bool) {
	o := offer{From: c.in.inbox, Scarce: scarce, Ask: map[string]uint64{}, Unserved: map[string]string{}, Unservable: c.unservable}
	ask, probe := c.roster.offers()
	for lane, jobs := range ask {
		o.Ask[lane.Tail()] = jobs
	}
	if len(probe) > 0 {
		o.Probe = make(map[string]uint64, len(probe))
		for lane, jobs := range probe {
			o.Probe[lane.Tail()] = jobs
		}
	}
	unserved := c.roster.unserved()
	for lane, reason := range unserved {
		if len(o.Unserved) == mostUnservedTold {
			break
		}
		o.Unserved[lane.Tail()] = reason
	}
	o.Waiting = len(unserved)
	c.told = o
	c.in.board.take(o, time.Now())
	if err := c.in.conn.tellOffer(o); err != nil {
		c.in.conn.log.Debug("the lanes could not be told to the other workers; they are told again", "error", reasonOf(err))
	}
}

// makeAll makes the consumers of lanes. Those it does not get to are the next
// cycle's.
func (c *coordinator) makeAll(ctx context.Context, lanes []schemas.Lane) {
	if len(lanes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	// A limit that changes meanwhile is relimit's: it must not count as the consumer's.
	limits := make(map[schemas.Lane]int, len(lanes))
	for _, lane := range lanes {
		limits[lane] = c.limit(lane)
	}
	errs := atOnce(lanes, func(lane schemas.Lane) error {
		_, err := c.in.conn.js.CreateOrUpdateConsumer(ctx, c.in.conn.stream(jobs), c.in.config(lane, limits[lane]))
		return err
	})
	for i, err := range errs {
		c.concluded(ctx, lanes[i], limits[lanes[i]], err)
	}
}

func (c *coordinator) concluded(ctx context.Context, lane schemas.Lane, limit int, err error) {
	now := time.Now()
	switch {
	case err == nil:
		c.limits[lane] = limit
		c.roster.made(lane, now)
	case errors.Is(ctx.Err(), context.Canceled): // which says nothing of the lane
	default:
		c.roster.failed(lane, codeOf(err), now)
		c.in.conn.log.Warn("the consumer of a lane could not be made; the lane waits", "class", lane.Class, "destination", lane.Destination, "error", reasonOf(err))
	}
}

// codeOf is a stable word for why a consumer could not be made.
func codeOf(err error) string {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return fmt.Sprintf("jetstream_%d", api.ErrorCode)
	}
	return "no_answer"
}

func (c *coordinator) limit(lane schemas.Lane) int {
	return cmp.Or(c.states.of(lane).Limit, c.in.settings.Concurrency)
}

// relimit brings the consumers whose lanes have another limit now to it.
func (c *coordinator) relimit(ctx context.Context) {
	for lane, has := range maps.Clone(c.limits) {
		if want := c.limit(lane); want != has {
			_, err := c.in.conn.js.CreateOrUpdateConsumer(ctx, c.in.conn.stream(jobs), c.in.config(lane, want))
			if err == nil {
				c.limits[lane] = want
			}
		}
	}
}

// release removes the consumers of lanes that are not offered any more, where that is
// safe: nothing in hand, and on a replicated stream no message left either. There the
// removal of acknowledged messages may be under way (45 of 286 stayed, nats-server
// 2.15.2). The server removes others when nobody has asked them for a while.
func (c *coordinator) release(ctx context.Context, s steps) {
	free := slices.DeleteFunc(s.free, func(lane schemas.Lane) bool {
		p := c.roster.lanes[lane]
		return !p.stuck && !(s.scarce && (p.jobs == 0 || c.replicas == 1))
	})
	if len(free) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	began := time.Now()
	infos, err := c.infos(ctx)
	if err != nil {
		c.in.conn.tried("listing the lanes' consumers", "", began, err)
		return
	}
	errs := atOnce(free, func(lane schemas.Lane) error {
		info := infos[lane]
		if info != nil && info.NumAckPending > 0 {
			return errInHand
		}
		if info == nil {
			return nil
		}
		return c.in.conn.js.DeleteConsumer(ctx, c.in.conn.stream(jobs), consumerName(lane))
	})
	for i, err := range errs {
		if err == nil {
			delete(c.limits, free[i])
			delete(c.suspects, free[i])
			c.roster.gone(free[i], time.Now())
		}
	}
}

var errInHand = errors.New("jobs of the lane are in hand")

// makers is how many consumers are made or removed at once: enough that those of a
// replicated stream do not hold up the others, and few enough for the servers.
const makers = 8

// makeTime is how long one cycle makes consumers, or removes them: lanes that are
// served must not wait for those that begin.
const makeTime = 250 * time.Millisecond

// atOnce does something with each lane, some at once, and begins none after makeTime.
// It gives as many errors as it has come to lanes.
func atOnce(lanes []schemas.Lane, do func(schemas.Lane) error) []error {
	end := time.Now().Add(makeTime)
	errs, begun := make([]error, len(lanes)), 0
	free := make(chan struct{}, makers)
	var all sync.WaitGroup
	for i, lane := range lanes {
		if time.Now().After(end) {
			break
		}
		free <- struct{}{}
		begun++
		all.Go(func() {
			errs[i] = do(lane)
			<-free
		})
	}
	all.Wait()
	return errs[:begun]
}

// handStrays has misaddressed jobs buried, a few at a time.
func (c *coordinator) handStrays(ctx context.Context) {
	for _, lane := range c.strayLanes {
		if c.strays.room() <= 0 || !c.tenure.mine(time.Now()) {
			return
		}
		msg, err := c.in.conn.fromLeader(ctx, c.in.conn.stream(jobs), leaderGet{NextOf: schemas.JobSubject(c.in.conn.prefix, lane), Sequence: 1})
		if err != nil || !c.strays.hold(msg.Sequence) {
			continue
		}
		c.in.answer(worker.Answer{Lane: lane, Delivery: &stray{held: c.strays, lane: lane, msg: msg}})
	}
}

// sweep looks from time to time for what the server has lost sight of.
func (c *coordinator) sweep(ctx context.Context) {
	if c.in.pace.sweepLost == 0 || time.Since(c.sweptAt) < c.in.pace.sweepLost {
		return
	}
	c.sweptAt = time.Now()
	if err := errors.Join(c.findStuck(ctx), c.late.sweep(ctx)); err != nil && ctx.Err() == nil {
		c.in.conn.log.Debug("looking for jobs that the queue forgot; the next time comes", "error", reasonOf(err))
	}
}

// findStuck looks for messages that their lane's consumer believes settled, so that
// nobody is ever given them. A consumer that is made again delivers them, and the
// ledger knows what is left to do. One that was suspected at the last sweep too is
// stuck: an acknowledgement on its way has long arrived.
//
// Seen with nats-server 2.14.9 and 2.15.2 on a stream of one replica: a server that is
// killed may keep an acknowledgement and lose the removal that followed it.
func (c *coordinator) findStuck(ctx context.Context) error {
	infos, err := c.infos(ctx)
	if err != nil {
		return err
	}
	before := c.suspects
	c.suspects = map[schemas.Lane]uint64{}
	for lane, p := range c.roster.lanes {
		info := infos[lane]
		if info == nil || p.jobs == 0 {
			continue
		}
		msg, err := c.in.conn.fromLeader(ctx, c.in.conn.stream(jobs), leaderGet{NextOf: schemas.JobSubject(c.in.conn.prefix, lane), Sequence: 1})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if msg.Sequence > settledUpTo(info) {
			continue
		}
		c.suspects[lane] = msg.Sequence
		if before[lane] == msg.Sequence && !p.stuck {
			p.stuck = true
			c.in.conn.log.Info("the queue holds jobs of a lane that it would deliver to nobody; the lane's consumer is made again", "class", lane.Class, "destination", lane.Destination)
		}
	}
	return nil
}

// settledUpTo is the sequence up to which a consumer has nothing to deliver and
// nothing in hand: all that it has delivered when nothing is leased, and else what
// lies at or below its acknowledgement floor.
func settledUpTo(info *jetstream.ConsumerInfo) uint64 {
	if info.NumAckPending == 0 {
		return info.Delivered.Stream
	}
	return info.AckFloor.Stream
}

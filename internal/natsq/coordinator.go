package natsq

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
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
	// rankedAt is when the accepted jobs of the lanes were last counted.
	rankedAt time.Time
	// consumers is how many the stream has by the last listing.
	consumers int
	// unservable counts the jobs on subjects that no consumer can filter.
	unservable uint64
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
	c.strays.found(nil)
	following.Go(func() { c.strays.handOut(ctx, c.in.answer) })
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
	c.listedAt, c.syncedAt, c.rankedAt, c.sweptAt = time.Time{}, time.Time{}, time.Time{}, time.Now()
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
	if c.told.Scarce || c.strays.some() {
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
	c.sweep(ctx)
}

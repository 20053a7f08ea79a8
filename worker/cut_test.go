package worker_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// cut ends a worker's connection to the world at its n-th step, before or after
// that step took effect, as a kill does. Steps are the calls that change or read
// something outside: ledger, streams, the post, the acknowledgement.
type cut struct {
	at    int
	after bool

	mu      sync.Mutex
	steps   int
	forward sync.WaitGroup
}

var errCut = errors.New("cut off")

// step does one step, unless the world is out of reach.
func (c *cut) step(do func() error) error {
	if c == nil {
		return do()
	}
	c.mu.Lock()
	c.steps++
	n := c.steps
	c.mu.Unlock()
	switch {
	case n > c.at, n == c.at && !c.after:
		return errCut
	case n == c.at:
		return errors.Join(do(), errCut)
	}
	return do()
}

// reached tells whether the worker came to the cut at all.
func (c *cut) reached() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps >= c.at
}

type cutOutbox struct {
	worker.Outbox
	cut *cut
}

func (o *cutOutbox) Bury(ctx context.Context, letter worker.DeadLetter) error {
	return o.cut.step(func() error { return o.Outbox.Bury(ctx, letter) })
}

func (o *cutOutbox) Later(ctx context.Context, s worker.Schedule) error {
	return o.cut.step(func() error { return o.Outbox.Later(ctx, s) })
}

func (o *cutOutbox) Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error {
	return o.cut.step(func() error { return o.Outbox.Tell(ctx, lane, event) })
}

func (o *cutOutbox) Holds(ctx context.Context, sequence uint64, stored time.Time, id schemas.JobKey) (held bool, err error) {
	err = o.cut.step(func() (err error) {
		held, err = o.Outbox.Holds(ctx, sequence, stored, id)
		return err
	})
	return held, err
}

type cutLedger struct {
	worker.Ledger
	cut *cut
}

func (l *cutLedger) Open(ctx context.Context, id schemas.JobKey, fresh job.Record) (entry worker.Entry, created bool, err error) {
	err = l.cut.step(func() (err error) {
		entry, created, err = l.Ledger.Open(ctx, id, fresh)
		return err
	})
	if err != nil {
		return nil, false, ledgerFault(err)
	}
	return &cutEntry{entry, l.cut}, created, nil
}

func (l *cutLedger) Find(ctx context.Context, id schemas.JobKey) (r job.Record, ok bool, err error) {
	err = l.cut.step(func() (err error) {
		r, ok, err = l.Ledger.Find(ctx, id)
		return err
	})
	return r, ok, ledgerFault(err)
}

type cutEntry struct {
	worker.Entry
	cut *cut
}

func (p *cutEntry) Save(ctx context.Context, r job.Record) error {
	if err := p.cut.step(func() error { return p.Entry.Save(ctx, r) }); err != nil {
		return ledgerFault(err)
	}
	return nil
}

func ledgerFault(err error) error {
	if !errors.Is(err, errCut) {
		return err
	}
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "cut", Cause: err}
}

// cutDelivery is a delivery whose lease ends by itself once the cut is reached.
type cutDelivery struct {
	worker.Delivery
	cut *cut
}

func (d *cutDelivery) Ack(ctx context.Context) error {
	return d.cut.step(func() error { return d.Delivery.Ack(ctx) })
}

func (d *cutDelivery) Extend() error {
	if d.cut.reached() {
		return errCut
	}
	return d.Delivery.Extend()
}

func (d *cutDelivery) GiveBack(delay time.Duration) error {
	if d.cut.reached() {
		return errCut
	}
	return d.Delivery.GiveBack(delay)
}

// intake hands every delivery on as one that can be cut.
func (c *cut) intake(in worker.Intake) worker.Intake {
	out := &cutIntake{Intake: in, answers: make(chan worker.Answer), stopped: make(chan struct{})}
	c.forward.Go(func() {
		for {
			select {
			case <-out.stopped:
				return
			case a := <-in.Answers():
				if a.Delivery != nil {
					a.Delivery = &cutDelivery{a.Delivery, c}
				}
				select {
				case out.answers <- a:
				case <-out.stopped:
					return
				}
			}
		}
	})
	return out
}

type cutIntake struct {
	worker.Intake
	answers chan worker.Answer
	stopped chan struct{}
}

func (i *cutIntake) Answers() <-chan worker.Answer { return i.answers }

func (i *cutIntake) Stop() {
	close(i.stopped)
	i.Intake.Stop()
}

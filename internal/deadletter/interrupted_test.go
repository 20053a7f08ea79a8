package deadletter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// cut is a desk whose n-th call of anything fails, before it does something or
// after.
type cut struct {
	*Service
	n     int
	after bool
	page  worker.Entry
}

var errCut = errors.New("cut off")

func (c *cut) step(do func() error) error {
	c.n--
	if c.n == 0 && !c.after {
		return errCut
	}
	err := do()
	if c.n == 0 {
		return errCut
	}
	return err
}

func (c *cut) Letters(ctx context.Context, each func(natsq.Letter) bool) error {
	return c.step(func() error { return c.Service.Letters.Letters(ctx, each) })
}

func (c *cut) Content(ctx context.Context, l natsq.Letter) (data []byte, err error) {
	err = c.step(func() error { data, err = c.Service.Letters.Content(ctx, l); return err })
	return data, err
}

func (c *cut) Remove(ctx context.Context, l natsq.Letter) error {
	return c.step(func() error { return c.Service.Letters.Remove(ctx, l) })
}

func (c *cut) Resubmit(ctx context.Context, lane schemas.Lane, id string, line worker.Line, data []byte) error {
	return c.step(func() error { return c.Service.Publisher.Resubmit(ctx, lane, id, line, data) })
}

func (c *cut) Tell(ctx context.Context, lane schemas.Lane, e schemas.Event) error {
	return c.step(func() error { return c.Service.Publisher.Tell(ctx, lane, e) })
}

func (c *cut) Holds(ctx context.Context, sequence uint64, stored time.Time, job schemas.JobKey) (held bool, err error) {
	err = c.step(func() error { held, err = c.Service.Publisher.Holds(ctx, sequence, stored, job); return err })
	return held, err
}

func (c *cut) Open(ctx context.Context, job schemas.JobKey, fresh job.Record) (page worker.Entry, created bool, err error) {
	err = c.step(func() error { c.page, created, err = c.Service.Ledger.Open(ctx, job, fresh); return err })
	return c, created, err
}

func (c *cut) Find(ctx context.Context, job schemas.JobKey) (record job.Record, ok bool, err error) {
	err = c.step(func() error { record, ok, err = c.Service.Ledger.Find(ctx, job); return err })
	return record, ok, err
}

func (c *cut) Record() job.Record { return c.page.Record() }

func (c *cut) Save(ctx context.Context, r job.Record) error {
	return c.step(func() error { return c.page.Save(ctx, r) })
}

// TestInterruptedAnywhere: whatever step a decision dies at, before or after
// its effect, a repeat brings it to the same end, once.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jobs, events := 0, 0
	for _, how := range []string{"resend", "accept"} {
		for _, after := range []bool{false, true} {
			for n, cutOff := 1, true; cutOff; n++ {
				id := fmt.Sprintf("%s-%v-%d", how, after, n)
				if n%2 == 0 {
					w.bury(id, jobText(id, "1"), schemas.StatusUnknown) // forgotten by the ledger
				} else {
					w.held(id)
				}
				c := &cut{Service: w.desk("ann"), n: n, after: after}
				broken := &Service{Letters: c, Publisher: c, Ledger: c, Prefix: "chartpost", By: "operator ann", Now: time.Now}
				decide := func(d *Service) error {
					if how == "resend" {
						jobs++
						_, err := d.Resend(t.Context(), jobKey(id))
						return err
					}
					events++
					_, err := d.Accept(t.Context(), jobKey(id))
					return err
				}
				err := decide(broken)
				if cutOff = errors.Is(err, errCut); !cutOff && err != nil {
					t.Fatal(err)
				}
				gone := len(w.stored("CHARTPOST_DEAD")) == 0
				if cutOff {
					jobs, events = jobs-b(how == "resend"), events-b(how == "accept")
					if err := decide(w.desk("bob")); err != nil && !(gone && errors.Is(err, ErrNone)) {
						t.Errorf("%s, repeated: %v", id, err)
					}
				}
				w.want(id, jobs, events, 0)
				if n > 20 {
					t.Fatal("a decision does not end")
				}
			}
		}
	}
	if jobs < 8 || events < 8 {
		t.Errorf("%d resent and %d accepted: it was hardly ever cut off", jobs, events)
	}
}

func b(v bool) int {
	if v {
		return 1
	}
	return 0
}

// TestManyAtOnce: of many that resend, one job comes of it; and whatever becomes
// of one that is resent and accepted at the same moment, it is not lost.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held("a")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := w.desk(fmt.Sprint("op-", i)).Resend(t.Context(), jobKey("a"))
			if err != nil && !errors.Is(err, errRace) && !errors.Is(err, ErrNone) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := w.desk("last").Resend(t.Context(), jobKey("a")); err != nil && !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	w.want("resent by many", 1, 0, 0)
	for round := range 20 {
		id := fmt.Sprint("b-", round)
		w.held(id)
		jobs := len(w.jobs())
		all.Go(func() { w.desk("ann").Resend(t.Context(), jobKey(id)) })
		all.Go(func() { w.desk("bob").Accept(t.Context(), jobKey(id)) })
		all.Wait()
		accepted, sent := w.found(id).Phase == job.Accepted, len(w.jobs()) > jobs
		if left := len(w.stored("CHARTPOST_DEAD")); !accepted && !sent && left == 0 {
			t.Fatalf("round %d: the job is lost", round)
		}
		w.desk("ann").Accept(t.Context(), jobKey(id))
	}
}

package lanes

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// fleet is breakers of several workers over one record, which is changed by
// compare-and-set as the real one is.
type fleet struct {
	t       *testing.T
	lane    schemas.Lane
	now     time.Time
	record  State
	workers []*breakers
}

func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t, lane: liveLane("a"), now: noon}
	f.record.Lane = f.lane
	for i := range n {
		f.workers = append(f.workers, newBreakers(fmt.Sprintf("w%d", i), backoff))
	}
	return f
}

// write does what a worker wants written, and what follows from it.
func (f *fleet) write(w *breakers, put *State) (wrote bool) {
	f.t.Helper()
	for put != nil {
		s, err := *put, error(nil)
		if s.Revision != f.record.Revision {
			err = ErrChanged
		} else {
			s.Revision++
			f.record, wrote = s, true
		}
		put = w.wrote(s, err, f.now)
	}
	return wrote
}

// spread tells everybody what the record says.
func (f *fleet) spread() {
	for _, w := range f.workers {
		_, put := w.heard(f.record, f.now)
		f.write(w, put)
	}
}

// end ends a job that w had taken.
func (f *fleet) end(w *breakers, job string, h Health, scope fault.Scope) bool {
	f.t.Helper()
	_, probe, _ := w.flow(f.lane, f.now)
	if probe {
		w.started(f.lane)
	}
	return f.write(w, w.ended(f.slot(w, probe), Result{Job: job, Health: h, Scope: scope, Reason: schemas.Reason{Code: "x"}}, f.now, 1))
}

// slot is of a job that w takes now.
func (f *fleet) slot(w *breakers, probe bool) *Slot {
	s := &Slot{Lane: f.lane, laneProbe: probe}
	w.begin(s)
	return s
}

func (f *fleet) wait(d time.Duration) { f.now = f.now.Add(d) }

// probers are the workers that may take a job.
func (f *fleet) probers() (n int) {
	for _, w := range f.workers {
		if shut, probing, _ := w.flow(f.lane, f.now); !shut && !probing {
			f.t.Fatal("a worker takes jobs as if nothing were")
		} else if probing {
			n++
		}
	}
	return n
}

// open breaks the lane for everybody.
func (f *fleet) open() {
	f.t.Helper()
	for i := range failuresOfALane {
		if opened := f.end(f.workers[0], fmt.Sprint("job", i), Failing, fault.Destination); opened != (i == failuresOfALane-1) {
			f.t.Fatalf("opened %t by the %d-th fault", opened, i+1)
		}
	}
	f.spread()
	if f.record.Breaker == nil || f.record.Breaker.Until.Sub(f.now) != 2*time.Second || f.probers() != 0 {
		f.t.Fatalf("%+v", f.record.Breaker)
	}
}

// probe has every worker ask to probe, and gives the one that may.
func (f *fleet) probe() *breakers {
	f.t.Helper()
	for _, w := range f.workers {
		f.write(w, w.due(f.lane, true, f.now))
	}
	f.spread()
	if n := f.probers(); n != 1 {
		f.t.Fatalf("%d probers", n)
	}
	for _, w := range f.workers {
		if _, probing, _ := w.flow(f.lane, f.now); probing {
			return w
		}
	}
	return nil
}

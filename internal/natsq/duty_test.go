package natsq

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOneWorkerHasTheDuty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mine atomic.Int32
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			d := newDuty(w.Conn, name, time.Hour, time.Hour)
			for range 5 {
				took, err := d.take(t.Context())
				if err != nil {
					t.Error(err)
				}
				if took != d.mine(time.Now()) {
					t.Errorf("took %v, has it %v", took, !took)
				}
				if took {
					mine.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := mine.Load(); n != 5 { // one, again and again
		t.Errorf("taken %d times, want 5", n)
	}
}

// TestTheDutyPassesOn: whoever had it speaks no more; while it is renewed it
// stays.
func TestTheDutyPassesOn(t *testing.T) {
	t.Parallel()
	w, _, r := forgotten(t, 1)
	other, r2 := w.reap(16)
	look(t, other)
	got := sweeps(t, r, 2)
	if len(got) != 1 {
		t.Fatalf("%d came", len(got))
	}
	r2.duty.term, r2.duty.lease = 50*time.Millisecond, 50*time.Millisecond
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		if len(sweeps(t, r, 1))+len(sweeps(t, r2, 1)) > 0 {
			t.Fatal("the job came twice while the first worker has it and says so")
		}
		if r2.duty.mine(time.Now()) {
			t.Fatal("two workers have the duty")
		}
	}
	must(t, got[0].Extend())

	r.duty.mu.Lock()
	r.duty.until = time.Now() // it was frozen
	r.duty.mu.Unlock()
	if err := got[0].Extend(); !errors.Is(err, errDuty) {
		t.Errorf("extended after the duty ended: %v", err)
	}
	until(t, "the other has the job", func() bool { return len(sweeps(t, r2, 1)) == 1 })
	if took, err := r.duty.take(t.Context()); took || err != nil {
		t.Errorf("taken back at once: %v %v", took, err)
	}
}

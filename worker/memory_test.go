package worker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// TestMemoryOfJobsInHand: large jobs are bounded and come to their turn in order,
// small ones do not wait for them, and nothing waits for longer than memoryWait.
func TestMemoryOfJobsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ctx := newMemory(), t.Context()
		lane := 0
		next := func() schemas.Lane { // each job is of a lane of its own
			lane++
			return liveLane(fmt.Sprint(lane))
		}
		var leave []func()
		for {
			left, ok := m.take(ctx, next(), schemas.MaxJobSize)
			if !ok {
				break
			}
			leave = append(leave, left)
		}
		if len(leave) < 8 || len(leave) > 16 {
			t.Errorf("%d jobs of the largest size at once", len(leave))
		}
		began := time.Now()
		if _, ok := m.take(ctx, next(), schemas.MaxJobSize); ok || time.Since(began) != memoryWait {
			t.Errorf("another large one: %t after %s", ok, time.Since(began))
		}
		began = time.Now()
		small, ok := m.take(ctx, next(), largeJob-1)
		if !ok || time.Since(began) != 0 {
			t.Errorf("a small one: %t after %s", ok, time.Since(began))
		}
		small()

		// Whoever waits gets what is left, and it can all be had again.
		got := make(chan bool)
		go func() {
			left, ok := m.take(ctx, next(), schemas.MaxJobSize)
			if ok {
				left()
			}
			got <- ok
		}()
		synctest.Wait()
		leave[0]()
		if !<-got {
			t.Error("the room of a job that has ended is lost")
		}
		for _, left := range leave[1:] {
			left()
		}
		whole, ok := m.take(ctx, next(), 10*largeRoom)
		if !ok {
			t.Fatal("a job larger than the room waits for ever")
		}
		whole()
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		if left, ok := m.take(ctx, next(), schemas.MaxJobSize); ok {
			left()
		}
	})
}

// TestALaneHasHalfOfTheMemory: the large jobs of one lane leave room for another's, and
// what a lane gives back it can have again.
func TestALaneHasHalfOfTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ctx := newMemory(), t.Context()
		var leave []func()
		for {
			left, ok := m.take(ctx, liveLane("greedy"), schemas.MaxJobSize)
			if !ok {
				break
			}
			leave = append(leave, left)
		}
		if len(leave) < 2 || len(leave) > 6 {
			t.Errorf("one lane has %d of the largest jobs", len(leave))
		}
		other, ok := m.take(ctx, liveLane("other"), schemas.MaxJobSize)
		if !ok {
			t.Fatal("another lane's job finds no room")
		}
		other()
		for _, left := range leave {
			left()
		}
		if len(m.large.held) != 0 {
			t.Errorf("%v is counted to lanes without jobs", m.large.held)
		}
		if _, ok := m.take(ctx, liveLane("greedy"), schemas.MaxJobSize); !ok {
			t.Error("the lane finds no room again")
		}
	})
}

// TestAJobWithoutRoomGoesBack to its lane, and was not begun.
func TestAJobWithoutRoomGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &runner{services: services{log: quiet}, inFlight: newInFlight(), leases: newLeases(quiet, time.Minute, nil), memory: newMemory()}
		if !w.memory.small.free.TryAcquire(smallRoom) {
			t.Fatal("no room")
		}
		d := &copyInHand{sequence: 7}
		if e := w.handle(t.Context(), d, place{}); e != (lanes.Result{}) {
			t.Errorf("it counts as %+v", e)
		}
		if given := d.given(); len(given) != 1 || given[0] != memoryPause || len(w.leases.held) != 0 {
			t.Errorf("given back %v, %d leases", given, len(w.leases.held))
		}
		if !w.inFlight.take(d) {
			t.Error("it counts as in hand")
		}
	})
}

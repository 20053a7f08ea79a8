package worker

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestACrewThatIsNotNeededEnds by itself: the bubble's end waits for all of it.
func TestACrewThatIsNotNeededEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		var begun, done atomic.Int32
		work := func() { begun.Add(1); time.Sleep(time.Second); done.Add(1) }
		for range 8 {
			c.do(work)
		}
		synctest.Wait()
		if begun.Load() != 8 {
			t.Errorf("%d of 8 jobs at once", begun.Load())
		}
		time.Sleep(crewIdle)
		c.do(work) // while they still wait
		time.Sleep(3 * crewIdle)
		c.do(work) // when none is left
		time.Sleep(3 * crewIdle)
		synctest.Wait()
		if done.Load() != 10 {
			t.Errorf("%d of 10 jobs done", done.Load())
		}
	})
}

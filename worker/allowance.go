package worker

import (
	"sync/atomic"

	"github.com/chartpost/chartpost/schemas"
)

// allowance is how many backfill jobs may begin. None may before it is known which
// runs were cancelled: the job would only wait, in a slot.
type allowance struct {
	budget Budget
	runs   *runs
	// unpaid counts the backfill jobs that were taken and have not yet used the
	// room in the budget they were taken for.
	unpaid atomic.Int64
	wanted int
}

// Room is how many may begin now.
func (a *allowance) Room() int {
	if !a.runs.known() {
		return 0
	}
	return a.budget.Room()
}

// Changed gets a value when Room may have grown.
func (a *allowance) Changed() <-chan struct{} { return a.budget.Changed() }

// want says how many more could begin at once.
func (a *allowance) want(jobs int) {
	if jobs != a.wanted {
		a.wanted = jobs
		a.budget.Want(jobs)
	}
}

// take counts a job that was taken; paid is called once it has used its room, or ended.
func (a *allowance) take(class schemas.Class) (paid func()) {
	if class != schemas.Backfill {
		return func() {}
	}
	a.unpaid.Add(1)
	return func() { a.unpaid.Add(-1) }
}

package worker

// crew are the goroutines that work on jobs, one job after the other: what a job
// calls goes deep, and a stack that has grown once need not grow for each.
// There are as many as jobs were in hand at once.
type crew struct{ work chan func() }

func newCrew() crew { return crew{work: make(chan func())} }

// do has somebody who is idle, or somebody new, do it.
func (c crew) do(job func()) {
	select {
	case c.work <- job:
	default:
		go func() {
			for next := job; next != nil; next = <-c.work {
				next()
			}
		}()
	}
}

// dismiss ends the idle, and the others when they have done their job.
func (c crew) dismiss() { close(c.work) }

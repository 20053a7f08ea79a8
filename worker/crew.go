package worker

import "time"

// crew are the goroutines that work on jobs, one job after the other: what a job
// calls goes deep, and a stack that has grown once need not grow for each.
// There are as many as jobs were in hand at once, and they end when there was
// nothing to do for them for crewIdle.
type crew struct{ work chan func() }

const crewIdle = time.Minute

func newCrew() crew { return crew{work: make(chan func())} }

// do has somebody who is idle, or somebody new, do it.
func (c crew) do(job func()) {
	select {
	case c.work <- job:
	default:
		go c.serve(job)
	}
}

func (c crew) serve(job func()) {
	idle := time.NewTimer(crewIdle)
	defer idle.Stop()
	for job != nil {
		job()
		idle.Reset(crewIdle)
		select {
		case job = <-c.work:
		case <-idle.C:
			return
		}
	}
}

// dismiss ends the idle, and the others when they have done their job.
func (c crew) dismiss() { close(c.work) }

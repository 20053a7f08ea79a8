package lanes

import "slices"

// failureStreak are the faults met since something last went well.
type failureStreak struct {
	jobs  []string
	count int
}

// add notes that job met a fault, and gives how many different jobs did; they
// are counted up to most.
func (s *failureStreak) add(job string, most int) (different int) {
	s.count++
	if len(s.jobs) < most && !slices.Contains(s.jobs, job) {
		s.jobs = append(s.jobs, job)
	}
	return len(s.jobs)
}

func (s *failureStreak) clear() { s.jobs, s.count = s.jobs[:0], 0 }

// refusalsOfAStorm is how many different jobs must be refused for good in a row,
// all with the same code, before it is taken for something else than the jobs.
const refusalsOfAStorm = 20

// refusalStreak are the final refusals of one code since a job was last
// accepted.
type refusalStreak struct {
	code string
	failureStreak
}

// add notes a refusal, and reports whether it completes a storm.
func (s *refusalStreak) add(job, code string) bool {
	if s.code != code {
		s.code = code
		s.clear()
	}
	return s.failureStreak.add(job, refusalsOfAStorm) >= refusalsOfAStorm
}

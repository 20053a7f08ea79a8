package worker

import "slices"

// strikes are the faults met since something last went well: enough of them,
// and more than one job's, are no longer the jobs' fault.
type strikes struct {
	jobs  []string
	count int
}

// add notes that job met a fault, and tells whether that makes jobs different
// ones in a row, or twice as many faults of fewer.
func (s *strikes) add(job string, jobs int) bool {
	s.count++
	if !slices.Contains(s.jobs, job) && len(s.jobs) < jobs {
		s.jobs = append(s.jobs, job)
	}
	return len(s.jobs) >= jobs || s.count >= 2*jobs
}

func (s *strikes) clear() { s.jobs, s.count = s.jobs[:0], 0 }

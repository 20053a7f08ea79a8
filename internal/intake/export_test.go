package intake

import "time"

// Hurry shortens how long a claim without a job is respected.
func (s *Service) Hurry(abandoned, other time.Duration) {
	s.pace.abandoned, s.pace.other = abandoned, other
}

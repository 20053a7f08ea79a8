package lanes

import (
	"math"
	"time"
)

// Backoff is how long a lane or a worker stays away from what is broken: First,
// then double with every opening up to Longest, each drawn from the upper half.
type Backoff struct{ First, Longest time.Duration }

func (b Backoff) wait(opened int, jitter float64) time.Duration {
	full := float64(b.First) * math.Pow(2, float64(max(opened, 1)-1))
	full = min(full, float64(b.Longest))
	return time.Duration(full/2 + jitter*full/2)
}

// rest is the wait, or what the other side asked for, within thirty times Longest
// (15 minutes): one answer must not stop everything for a day.
func (b Backoff) rest(opened int, jitter float64, asked time.Duration) time.Duration {
	return max(b.wait(opened, jitter), min(asked, b.longestRest()))
}

func (b Backoff) longestRest() time.Duration { return 30 * b.Longest }

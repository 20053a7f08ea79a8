package planning

import (
	"bytes"
	"slices"
	"sync"

	"github.com/chartpost/chartpost/internal/manifest"
)

// Sample keeps some jobs of a manifest, spread over its lines. The same lines of the same
// manifest are chosen every time. It is for any number of goroutines.
type Sample struct {
	most int
	mu   sync.Mutex
	held []Sampled
}

// Sampled is a job of a sample.
type Sampled struct {
	Line int64
	// Data is the job as it would be published, without the labels of a run.
	Data []byte
	rank uint64
}

// NewSample makes a sample of at most so many jobs.
func NewSample(most int) *Sample { return &Sample{most: most} }

// offer takes the line in if its rank is among the lowest. A nil sample takes none.
func (s *Sample) offer(line manifest.Line) {
	if s == nil || s.most == 0 {
		return
	}
	one := Sampled{Line: line.Number, rank: rankOf(line.Number)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) == s.most && one.rank >= s.held[len(s.held)-1].rank {
		return
	}
	one.Data = bytes.Clone(line.Data)
	at, _ := slices.BinarySearchFunc(s.held, one.rank, func(other Sampled, rank uint64) int {
		if other.rank < rank {
			return -1
		}
		return 1
	})
	s.held = slices.Insert(s.held, at, one)
	s.held = s.held[:min(len(s.held), s.most)]
}

// rankOf scatters the numbers of lines (SplitMix64: Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", 2014).
func rankOf(line int64) uint64 {
	z := uint64(line) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Jobs are those of the sample, in the order of their lines.
func (s *Sample) Jobs() []Sampled {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := slices.Clone(s.held)
	slices.SortFunc(jobs, func(a, b Sampled) int { return int(a.Line - b.Line) })
	return jobs
}

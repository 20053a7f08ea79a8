package job

import (
	"cmp"
	"slices"

	"github.com/chartpost/chartpost/internal/versioned"
)

// MakersVersion is the version of a record of Makers.
const MakersVersion = 1

// mostMakers bounds the jobs that are remembered of one document: the oldest go.
const mostMakers = 32

// Makers are the jobs that make one document of a destination, or amend it, as far as they
// asked for order. They are in the order in which they are to be sent.
type Makers struct {
	Version int     `json:"version"`
	Jobs    []Maker `json:"jobs"`

	Unknown versioned.Unknown `json:",embed"`
}

// Maker is one of them.
type Maker struct {
	ID string `json:"id"`
	// Amends says that the job changes a document that another one made.
	Amends bool `json:"amends,omitempty"`
	// Sequence is that of the job's first copy in the queue.
	Sequence uint64 `json:"sequence"`
}

// Add puts a job in its place, and reports whether that changes anything. One that is there
// already keeps its place.
func (m *Makers) Add(one Maker) bool {
	if slices.ContainsFunc(m.Jobs, func(j Maker) bool { return j.ID == one.ID }) {
		return false
	}
	m.Jobs = append(m.Jobs, one)
	slices.SortStableFunc(m.Jobs, func(a, b Maker) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Sequence, b.Sequence))
	})
	m.Jobs = m.Jobs[max(0, len(m.Jobs)-mostMakers):]
	return true
}

func rank(m Maker) int {
	if m.Amends {
		return 1
	}
	return 0
}

// Before is the job that must be accepted before that of an id is sent: the one in front
// of it, or the last where it makes another document. It is empty where there is none.
func (m *Makers) Before(id string) string {
	at := slices.IndexFunc(m.Jobs, func(j Maker) bool { return j.ID == id })
	switch {
	case at > 0:
		return m.Jobs[at-1].ID
	case at < 0 && len(m.Jobs) > 0:
		return m.Jobs[len(m.Jobs)-1].ID
	}
	return ""
}

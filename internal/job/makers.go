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
// already keeps its place. The oldest leaves a full list, and does not come back.
func (m *Makers) Add(one Maker) bool {
	if slices.ContainsFunc(m.Jobs, func(j Maker) bool { return j.ID == one.ID }) {
		return false
	}
	m.Jobs = append(m.Jobs, one)
	slices.SortStableFunc(m.Jobs, func(a, b Maker) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Sequence, b.Sequence))
	})
	if len(m.Jobs) <= mostMakers {
		return true
	}
	oldest := m.Jobs[0].ID
	m.Jobs = m.Jobs[1:]
	return oldest != one.ID
}

func rank(m Maker) int {
	if m.Amends {
		return 1
	}
	return 0
}

// Before is the job in front of that of an id, which must be accepted before it is sent. It
// is empty where there is none, or where the id has left the list.
func (m *Makers) Before(id string) string {
	at := slices.IndexFunc(m.Jobs, func(j Maker) bool { return j.ID == id })
	if at < 1 {
		return ""
	}
	return m.Jobs[at-1].ID
}

// Last is the last job with another id: a job that replaces the document comes after it.
func (m *Makers) Last(id string) string {
	for _, j := range slices.Backward(m.Jobs) {
		if j.ID != id {
			return j.ID
		}
	}
	return ""
}

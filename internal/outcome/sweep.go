package outcome

import (
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
)

// Mark says up to when the logs were searched. It is written after a search came to
// its end, so that an interrupted one is made again.
type Mark struct {
	// Until is the end of the last sweep, by the time of updates.
	Until time.Time `json:"until,omitzero"`
	// Swept is when that came to its end.
	Swept time.Time `json:"swept,omitzero"`
}

// Plan is the part of the logs that a sweep covers: all that changed From to Until.
type Plan struct{ From, Until time.Time }

// next gives the sweep that is due, if any. It begins an overlap before the end of the
// last one, and covers a slice at most, so that one that lags comes on in steps that
// are not lost when the follower stops.
func (m Mark) next(every time.Duration, t Times, now time.Time) (Plan, bool) {
	begin := m.Until
	if begin.IsZero() {
		return Plan{}, false
	}
	behind := now.Sub(begin)
	if behind < every && now.Sub(m.Swept) < every {
		return Plan{}, false
	}
	until := now
	if behind > t.Slice {
		until = begin.Add(t.Slice)
	}
	return Plan{From: begin.Add(-t.Overlap), Until: until}, true
}

// queries are the searches of a sweep: each status in each data mode, since a search
// without a mode sees realtime traffic alone.
func (p Plan) queries(source string, statuses ...platform.Status) []platform.Query {
	if len(statuses) == 0 {
		statuses = []platform.Status{""}
	}
	var all []platform.Query
	for _, status := range statuses {
		for _, mode := range platform.Modes() {
			all = append(all, platform.Query{UpdatedAfter: p.From, UpdatedBefore: p.Until, SourceID: source, Status: status, Mode: mode})
		}
	}
	return all
}

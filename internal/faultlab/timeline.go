package faultlab

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// moment is one line of a timeline.
type moment struct {
	at   time.Time
	text string
}

// Timeline tells all that the books know of a job, in the order of time,
// with what was done to the workers that had it and to the servers.
func (b *Books) Timeline(id string) string {
	p := b.pages()[id]
	if p == nil {
		return "nothing is known of job " + id
	}
	moments := p.moments()
	owners := map[string]bool{}
	for _, r := range p.revisions {
		owners[r.Owner] = true
	}
	first, last := span(moments)
	for _, h := range b.Harms {
		concerns := owners[h.Whom] || !strings.HasPrefix(h.Whom, workerPrefix)
		if concerns && !h.At.Before(first) && !h.At.After(last) {
			moments = append(moments, moment{h.At, h.What + " " + h.Whom})
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	var out strings.Builder
	fmt.Fprintf(&out, "job %s to %s/%s, transfer %s, %d files\n", id, p.job.Class, p.job.Destination, p.job.Transfer, len(p.job.Files))
	for _, m := range moments {
		fmt.Fprintf(&out, "  %s  %+9.3fs  %s\n", m.at.Format("15:04:05.000"), m.at.Sub(first).Seconds(), m.text)
	}
	return out.String()
}

// workerPrefix starts the name of every worker.
const workerPrefix = "worker-"

func (p *page) moments() []moment {
	moments := []moment{{p.job.Published, fmt.Sprintf("published, tried %d times", p.job.Tries)}}
	add := func(at time.Time, format string, args ...any) {
		moments = append(moments, moment{at, fmt.Sprintf(format, args...)})
	}
	for _, r := range p.revisions {
		add(r.At, "ledger %d: %s, attempt %d, owner %s, URLs %v%s", r.Sequence, r.Phase, r.Attempt, r.Owner, r.Known, mark(r.PossibleDuplicate))
	}
	for _, u := range p.uploads {
		add(u.Started, "upload of file %d by %s begins", u.Index, u.From)
		add(u.Finished, "Redox has file %d from %s", u.Index, u.From)
	}
	for _, post := range p.posts {
		add(post.Started, "message of %s begins", post.From)
		add(post.At, "Redox has the message of %s", post.From)
	}
	for _, e := range p.events {
		add(e.At, "event %s%s %s", e.ID, mark(e.PossibleDuplicate), e.Reason)
	}
	for _, l := range p.letters {
		add(l.At, "dead letter: %s, %s", l.Status, l.Code)
	}
	return moments
}

func mark(possibleDuplicate bool) string {
	if possibleDuplicate {
		return ", possible duplicate"
	}
	return ""
}

// span is the first and the last time that is set.
func span(moments []moment) (first, last time.Time) {
	for _, m := range moments {
		if !m.at.IsZero() && (first.IsZero() || m.at.Before(first)) {
			first = m.at
		}
		if m.at.After(last) {
			last = m.at
		}
	}
	return first, last
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

package faultlab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// waits are how long something took, the shortest first.
type waits []time.Duration

// at is a quantile.
func (w waits) at(q float64) time.Duration {
	if len(w) == 0 {
		return 0
	}
	return w[min(int(q*float64(len(w))), len(w)-1)].Round(100 * time.Microsecond)
}

func (w waits) String() string {
	return fmt.Sprintf("%d: p50 %s, p90 %s, p99 %s, most %s", len(w), w.at(0.5), w.at(0.9), w.at(0.99), w.at(1))
}

// took is how long a job took.
type took struct {
	job  string
	time time.Duration
}

// phaseOf is the phase in which a job was published.
func phaseOf(job string) string {
	phase, _, _ := strings.Cut(job, "-")
	return phase
}

// latencies reads how long jobs took. In the long form those count that were
// published when the run had settled.
func (u *usage) latencies(l *lab) {
	l.t.Helper()
	published := map[string]time.Time{}
	for _, j := range l.books.Jobs {
		if phaseOf(j.ID) != beside || j.Published.After(u.settled) || !*long {
			published[j.ID] = j.Published
		}
	}
	l.eachMessage(stream("EVENTS"), l.takeEvent())
	l.eachMessage("KV_"+stream("LEDGER"), l.takeRevision)
	u.waits, u.permits = map[string]waits{}, map[string]waits{}
	for _, e := range l.books.Events {
		at, known := published[e.Job]
		if !known || e.Status != "accepted" {
			continue
		}
		phase := phaseOf(e.Job)
		u.waits[phase] = append(u.waits[phase], e.At.Sub(at))
		if phase == beside {
			u.slowest = append(u.slowest, took{e.Job, e.At.Sub(at)})
		}
	}
	uploaded := map[string]time.Time{}
	for _, r := range l.books.Revisions {
		at, known := uploaded[r.Job]
		switch _, counts := published[r.Job]; {
		case !counts:
		case r.Phase == "sending" && known:
			u.permits[phaseOf(r.Job)] = append(u.permits[phaseOf(r.Job)], r.At.Sub(at))
		case !slices.Contains(r.Known, false) && len(r.Known) > 0:
			uploaded[r.Job] = r.At
		}
	}
	l.books.Events, l.books.Revisions, l.books.Leaks = nil, nil, nil // they are read again at the end
	slices.SortFunc(u.slowest, func(a, b took) int { return cmp.Compare(b.time, a.time) })
	for _, kind := range []map[string]waits{u.waits, u.permits} {
		if kind[before] != nil {
			kind[alone] = slices.Concat(kind[before], kind[after])
		}
		for _, of := range kind {
			slices.Sort(of)
		}
	}
}

package faultlab

import (
	"slices"
	"time"
)

// Repeats counts the messages that Redox took beyond the first of each job.
func (b *Books) Repeats() int {
	jobs := map[string]bool{}
	for _, p := range b.Posts {
		jobs[p.Job] = true
	}
	return len(b.Posts) - len(jobs)
}

// RepeatsBound is how many repeats the harm done can explain: the answers that
// were lost, the messages in flight at the workers that were harmed, and those
// in flight when the queue was.
func (b *Books) RepeatsBound() int {
	bound := b.LostAnswers + b.InFlight() + b.Overtaken()
	for _, h := range b.Harms {
		bound += h.Answers
	}
	return bound
}

// InFlight counts the messages of which the ledger said, when their worker was
// killed or frozen, that they were being sent. Such a word that was on its way
// to the ledger counts too.
func (b *Books) InFlight() int {
	n := 0
	for _, p := range b.pages() {
		for _, h := range b.Harms {
			if until, harmed := b.helpless(h); harmed && p.sendingAt(h.Whom, h.At, until) {
				n++
			}
		}
	}
	return n
}

// Overtaken counts the messages that were being sent, or whose answer was being
// written down, while the queue was away, and of which another worker took the
// job, since a lease cannot be renewed then. Those of killed and frozen workers
// count in InFlight.
func (b *Books) Overtaken() int {
	n := 0
	for _, p := range b.pages() {
		for i, r := range p.revisions[:max(len(p.revisions)-1, 0)] {
			next := p.revisions[i+1]
			if r.Phase == "sending" && next.Owner != r.Owner && b.queueAwayWithin(r.At, next.At) && !b.harmedWithin(r.Owner, r.At, next.At) {
				n++
			}
		}
	}
	return n
}

// harmedWithin tells whether a worker was killed or frozen in that time.
func (b *Books) harmedWithin(worker string, from, to time.Time) bool {
	return slices.ContainsFunc(b.Harms, func(h Harm) bool {
		return h.Whom == worker && (h.What == killed || h.What == frozen) && !h.At.Before(from) && h.At.Before(to)
	})
}

// queueAwayWithin tells whether the queue may have been away at some moment of
// that time.
func (b *Books) queueAwayWithin(from, to time.Time) bool {
	return b.queueAway(from) || slices.ContainsFunc(b.Harms, func(h Harm) bool {
		return (h.What == queueKilled || h.What == queueBack) && h.At.After(from) && h.At.Before(to)
	})
}

// helpless tells until when a harmed worker could do nothing.
func (b *Books) helpless(h Harm) (until time.Time, harmed bool) {
	switch h.What {
	case killed:
		return h.At.Add(time.Hour), true
	case frozen:
		for _, w := range b.Harms {
			if w.What == woken && w.Whom == h.Whom && w.At.After(h.At) {
				return w.At, true
			}
		}
		return h.At.Add(time.Hour), true
	}
	return time.Time{}, false
}

// sendingAt tells whether a worker was sending the job's message when it was
// harmed, by what had been written until it could act again.
func (p *page) sendingAt(worker string, harmed, until time.Time) bool {
	for i, r := range p.revisions {
		stood := i == len(p.revisions)-1 || p.revisions[i+1].At.After(harmed)
		if r.Phase == "sending" && r.Owner == worker && stood && !r.At.After(until) {
			return true
		}
	}
	return false
}

// electionTime is how long a queue may be without a leader after one of its
// servers was killed or came back.
const electionTime = 20 * time.Second

// queueAway tells whether the queue may have been away at that time.
func (b *Books) queueAway(at time.Time) bool {
	away := false
	for _, h := range b.Harms {
		switch {
		case h.At.After(at):
		case h.What == queueKilled:
			away = true
		case h.What == queueBack:
			away = at.Sub(h.At) < electionTime
		}
	}
	return away
}

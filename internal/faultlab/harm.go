package faultlab

import "time"

// Repeats counts the messages that Redox took beyond the first of each job.
func (b *Books) Repeats() int {
	jobs := map[string]bool{}
	for _, p := range b.Posts {
		jobs[p.Job] = true
	}
	return len(b.Posts) - len(jobs)
}

// RepeatsBound is how many repeats the harm done can explain: the answers that
// were lost, and the messages in flight at the workers that were harmed.
func (b *Books) RepeatsBound() int {
	bound := b.LostAnswers + b.InFlight()
	for _, h := range b.Harms {
		bound += h.Answers
	}
	return bound
}

// InFlight counts the messages of which a worker that was killed or frozen had
// said that it sends them, and never what came of it.
func (b *Books) InFlight() int {
	harmed := map[string]bool{}
	for _, h := range b.Harms {
		if h.What == killed || h.What == frozen {
			harmed[h.Whom] = true
		}
	}
	type hand struct{ job, worker string }
	last := map[hand]string{}
	for _, r := range b.Revisions {
		last[hand{r.Job, r.Owner}] = r.Phase
	}
	n := 0
	for of, phase := range last {
		if phase == "sending" && harmed[of.worker] {
			n++
		}
	}
	return n
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

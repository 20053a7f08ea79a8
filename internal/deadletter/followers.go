package deadletter

import (
	"errors"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// errPredecessor is that of a job whose predecessor was refused: it would fail again.
var errPredecessor = &Refusal{"predecessor_refused", "the job that it comes after was not sent again; nothing was done"}

// WithFollowers adds the dead jobs that come after those of stacks, and those that come
// after these, out of all letters. Each stands behind the job that it comes after, where
// that is there too. Jobs that come after each other have no first one, and keep their
// order.
func WithFollowers(stacks []Stack, all []natsq.Letter) []Stack {
	meant := map[schemas.JobKey]bool{}
	for _, s := range stacks {
		meant[s.Newest.Job()] = true
	}
	followers := map[schemas.JobKey][]Stack{}
	var first, others []Stack
	for _, s := range stacks {
		key, follows := predecessorOf(s.Newest)
		if !follows || !meant[key] {
			first = append(first, s)
			continue
		}
		others = append(others, s)
		followers[key] = append(followers[key], s)
	}
	for _, s := range Stacks(all) {
		if key, follows := predecessorOf(s.Newest); follows {
			followers[key] = append(followers[key], s)
		}
	}
	var out []Stack
	placed := map[uint64]bool{}
	place := func(s Stack) {
		if !placed[s.Newest.Sequence] {
			placed[s.Newest.Sequence] = true
			out = append(out, s)
		}
	}
	for _, s := range append(first, others...) {
		next := len(out)
		place(s)
		for ; next < len(out); next++ {
			for _, follower := range followers[out[next].Newest.Job()] {
				place(follower)
			}
		}
	}
	return out
}

// predecessorOf is the job that a letter's comes after.
func predecessorOf(l natsq.Letter) (schemas.JobKey, bool) {
	return schemas.KeyOf(l.Lane, l.After), l.After != ""
}

// InOrder replays stacks that WithFollowers gave, one for each call.
type InOrder struct{ refused map[schemas.JobKey]bool }

// Next replays one by act, unless the job that it comes after was refused before.
func (o *InOrder) Next(s Stack, act func() (Outcome, error)) (Outcome, error) {
	if o.refused == nil {
		o.refused = map[schemas.JobKey]bool{}
	}
	if key, ok := predecessorOf(s.Newest); ok && o.refused[key] {
		o.refused[s.Newest.Job()] = true
		return "", errPredecessor
	}
	outcome, err := act()
	if err != nil && !errors.Is(err, errAccepted) && !errors.Is(err, errUnderWay) {
		o.refused[s.Newest.Job()] = true
	}
	return outcome, err
}

package budget

import (
	"context"
	"fmt"
	"time"
)

// State is what is known of a budget, for metrics and for people.
type State struct {
	// Requests is the limit that is believed, Effective what may be in the
	// window now: less after a refusal. Both are 0 when the budget is off.
	Requests, Effective int
	// Stated tells that Requests came from X-RateLimit-Limit.
	Stated bool
	// Live and Backfill are spent and still count; Out is how many permits
	// workers hold.
	Live, Backfill, Out int
	// Assumed is how many more count as spent although nobody is known to have
	// spent them: those of the window before a record that was made again.
	// AssumedFor is until when any of them count, from now on.
	Assumed    int
	AssumedFor time.Duration
	// Workers is how many hold or want permits. Wanted is how many requests of Backfill
	// others than Settings.Worker have work for.
	Workers, Wanted int
	// Held is until when nothing is sent because Redox refused a request, from
	// now on; 0 when that is not so.
	Held time.Duration
	// Next is when the oldest spent request stops counting, from now on.
	Next time.Duration
	// Age is how long ago the record was read or written last.
	Age time.Duration
}

// Used is what counts against the limit.
func (s State) Used() int { return s.Live + s.Backfill + s.Out + s.Assumed }

// State is what this worker saw at its last exchange; an idle one exchanges nothing
// and says what it saw then.
func (b *Budget) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off() || b.schedule.seen == nil {
		return State{Requests: b.rules.requests, Effective: b.rules.requests}
	}
	age := b.now().Sub(b.schedule.seenLocal)
	s := b.schedule.seen.state(b.rules, b.schedule.seenAt+int64(age))
	s.Age = age
	return s
}

// Waiting is how many requests of a class wait in Take.
func (b *Budget) Waiting(class Class) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiters.waiting(class)
}

// Look reads the state of a scope and changes nothing. now is of a clock that
// agrees with the store's to some seconds. known is false when there is no
// record that settings can read.
func Look(ctx context.Context, settings Settings, store Store, now time.Time) (s State, known bool, err error) {
	value, revision, written, err := store.Read(ctx)
	if err != nil {
		return State{}, false, fmt.Errorf("reading the request budget: %w", err)
	}
	rules := rulesOf(settings)
	if revision == 0 {
		return State{Requests: rules.requests, Effective: rules.requests}, false, nil
	}
	r, err := decode(value, rules)
	if err != nil || r == nil {
		return State{Requests: rules.requests, Effective: rules.requests}, false, err
	}
	at := max(now.UnixNano(), written.UnixNano())
	r.follow(rules, written.UnixNano())
	r.settle(rules, written.UnixNano(), at)
	s = r.state(rules, at)
	for name, e := range r.Workers {
		if name != settings.Worker && e.active(rules, at) {
			s.Wanted += e.Want
		}
	}
	s.Age = time.Duration(at - written.UnixNano())
	return s, true, nil
}

// state sums a record up at a time.
func (r *record) state(rules rules, at int64) State {
	s := State{
		Requests: r.Estimate.limit(rules), Effective: r.Estimate.effective(rules, at), Stated: r.Estimate.Header > 0,
		Out: r.out(), Workers: len(r.Workers),
		Held: max(time.Duration(r.Estimate.Hold-at), 0),
	}
	first := rules.slotOf(at - int64(rules.window))
	for i := range r.Spent.Live {
		slot := r.Spent.Base + int64(i)
		live, backfill := r.Spent.Live[i], r.Spent.Backfill[i]
		if slot < first || live+backfill == 0 {
			continue
		}
		end := max(time.Duration((slot+1)*int64(rules.slot)+int64(rules.window)-at), 0)
		if s.Live+s.Backfill+s.Assumed == 0 {
			s.Next = end
		}
		if slot < r.Opened {
			s.Assumed += live + backfill
			s.AssumedFor = end
			continue
		}
		s.Live += live
		s.Backfill += backfill
	}
	s.Live += r.Fresh[Live]
	s.Backfill += r.Fresh[Backfill]
	return s
}

package natsq

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Trouble is something that stands between this process and its queue.
type Trouble struct {
	Since time.Time
	// Text is made of fixed words and the server's codes: it names no job, no
	// destination and no address, and may be shown to anybody.
	Text string
}

const (
	// troubleAfter is how long something is tried before it counts as trouble: a
	// hiccup is none.
	troubleAfter = 5 * time.Second
	// troubleStays is how long trouble stands after it was last seen. What is
	// refused is seen only when it is tried.
	troubleStays = time.Minute
	// sayAgain is how often trouble that goes on is told to the log.
	sayAgain = time.Minute
	// triedAgain is more than lies between two tries of retry.Do: what failed
	// longer ago than this has been given up.
	triedAgain = 10 * time.Second
)

// troubles is the book of what does not work. It does nothing else: no call of
// it blocks, and the clock is the caller's.
type troubles struct {
	mu   sync.Mutex
	lost time.Time // zero while the connection stands
	// lostSaid is when the loss was told last.
	lostSaid time.Time
	tries    map[try]*failing
	told     map[string]time.Time // by what: when its trouble was told
	reports  map[string]*report   // by text
}

// try is one thing that is tried until it succeeds.
type try struct{ what, id string }

// failing is a try that has not succeeded yet.
type failing struct {
	since, last time.Time
	n           int
	why         string
}

// report is an error that the server told unasked.
type report struct {
	since, last, said time.Time
	unsaid            int
}

func newTroubles() *troubles {
	return &troubles{tries: map[try]*failing{}, told: map[string]time.Time{}, reports: map[string]*report{}}
}

func (f *failing) stuck() bool               { return f.last.Sub(f.since) >= troubleAfter }
func (f *failing) fresh(now time.Time) bool  { return now.Sub(f.last) < troubleStays }
func (r *report) fresh(now time.Time) bool   { return now.Sub(r.last) < troubleStays }
func due(said time.Time, now time.Time) bool { return said.IsZero() || now.Sub(said) >= sayAgain }

// saying is what is to be told of tries that fail: since when the oldest does,
// how many do, and how often the one at hand did.
type saying struct {
	since time.Time
	stuck int
	tries int
}

// failed notes a try that began at some time and failed now. It says what is to
// be logged: nothing until the try is stuck, and then once a minute.
func (b *troubles) failed(t try, began, now time.Time, why string) (s saying, say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	f := b.tries[t]
	if f == nil {
		f = &failing{since: began}
		b.tries[t] = f
	}
	f.last, f.why, f.n = now, why, f.n+1
	if !f.stuck() || !due(b.told[t.what], now) {
		return saying{}, false
	}
	b.told[t.what] = now
	s.since, s.stuck = b.stuck(t.what)
	s.tries = f.n
	return s, true
}

// worked notes a success. over says that trouble which was told has ended: no
// other try of the same kind is stuck.
func (b *troubles) worked(t try, now time.Time) (over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.tries, t)
	for other, f := range b.tries {
		if other.what == t.what && now.Sub(f.last) > triedAgain {
			delete(b.tries, other)
		}
	}
	if _, told := b.told[t.what]; !told {
		return false
	}
	if _, n := b.stuck(t.what); n > 0 {
		return false
	}
	delete(b.told, t.what)
	return true
}

// forget drops a try that has come to nothing, which is nobody's trouble.
func (b *troubles) forget(t try) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.tries, t)
}

// stuck counts the tries of one kind that are; the lock is held.
func (b *troubles) stuck(what string) (since time.Time, n int) {
	for t, f := range b.tries {
		if t.what != what || !f.stuck() {
			continue
		}
		if n++; n == 1 || f.since.Before(since) {
			since = f.since
		}
	}
	return since, n
}

// prune drops what is not fresh, so that the book stays small; the lock is held.
func (b *troubles) prune(now time.Time) {
	maps.DeleteFunc(b.tries, func(_ try, f *failing) bool { return !f.fresh(now) })
	maps.DeleteFunc(b.reports, func(_ string, r *report) bool { return !r.fresh(now) })
	maps.DeleteFunc(b.told, func(what string, said time.Time) bool {
		_, n := b.stuck(what)
		return n == 0 && now.Sub(said) >= troubleStays
	})
}

// reported notes an error that the server told unasked, under a text that may
// be shown. say is true the first time and once a minute, with how often it was
// not said since.
func (b *troubles) reported(text string, now time.Time) (unsaid int, say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	r := b.reports[text]
	if r == nil {
		r = &report{since: now}
		b.reports[text] = r
	}
	r.last = now
	if !due(r.said, now) {
		r.unsaid++
		return 0, false
	}
	unsaid, r.unsaid, r.said = r.unsaid, 0, now
	return unsaid, true
}

// denied reports whether the server has refused a permission within the last minute.
func (b *troubles) denied() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for text, r := range b.reports {
		if strings.HasPrefix(text, noPermission) && r.fresh(time.Now()) {
			return true
		}
	}
	return false
}

// disconnected notes that the connection is lost, or that it still is; say is
// true the first time and once a minute.
func (b *troubles) disconnected(now time.Time) (since time.Time, say bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost.IsZero() {
		b.lost, b.lostSaid = now, time.Time{}
	}
	if say = due(b.lostSaid, now); say {
		b.lostSaid = now
	}
	return b.lost, say
}

// connected notes that the connection stands again.
func (b *troubles) connected() (lost time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost, b.lost = b.lost, time.Time{}
	return lost
}

// list gives what stands now, the oldest first.
func (b *troubles) list(now time.Time) []Trouble {
	all := b.all(now)
	slices.SortFunc(all, func(a, b Trouble) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Text, b.Text))
	})
	return all
}

func (b *troubles) all(now time.Time) []Trouble {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	var all []Trouble
	if !b.lost.IsZero() {
		all = append(all, Trouble{b.lost, "not connected"})
	}
	for text, r := range b.reports {
		all = append(all, Trouble{r.since, text})
	}
	return append(all, b.failing()...)
}

// failing gives what is tried in vain: one trouble for every reason, with all
// that fails for it; the lock is held.
func (b *troubles) failing() []Trouble {
	kinds := map[string]*failing{}
	for t, f := range b.tries {
		if !f.stuck() {
			continue
		}
		k := kinds[t.what]
		if k == nil {
			kinds[t.what] = &failing{since: f.since, last: f.last, why: f.why}
			continue
		}
		if f.since.Before(k.since) {
			k.since = f.since
		}
		if f.last.After(k.last) {
			k.last, k.why = f.last, f.why
		}
	}
	reasons := map[string][]string{}
	since := map[string]time.Time{}
	for what, k := range kinds {
		if reasons[k.why] == nil || k.since.Before(since[k.why]) {
			since[k.why] = k.since
		}
		reasons[k.why] = append(reasons[k.why], what)
	}
	var all []Trouble
	for why, what := range reasons {
		slices.Sort(what)
		all = append(all, Trouble{since[why], strings.Join(what, ", ") + ": " + why})
	}
	return all
}

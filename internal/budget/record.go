package budget

import (
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

// version is of the record's form.
const version = 1

// record is what the workers of a scope share. All its times are of the
// store's clock, in ns.
type record struct {
	Version  int   `json:"version"`
	WindowMS int64 `json:"window_ms"`
	// Opening: nothing is known of the window before this record was written.
	Opening bool `json:"opening,omitempty"`
	// Opened is the slot when it was; what is booked before it is presumed.
	Opened int64     `json:"opened,omitempty"`
	Spent  histogram `json:"spent"`
	// Fresh is what the writer of this revision had spent, live and backfill.
	// When that was is known to the next reader: when the revision was written.
	Fresh   [2]int           `json:"fresh"`
	Workers map[string]entry `json:"workers"`
	// PacedAt is until when backfill's pace has been shared out.
	PacedAt  int64    `json:"paced_at"`
	Estimate estimate `json:"belief"`

	Unknown versioned.Unknown `json:",embed"`
}

// entry is one worker's.
type entry struct {
	// Seq counts the worker's exchanges.
	Seq uint64 `json:"seq"`
	// At is when it wrote this, 0 in the revision that it wrote.
	At int64 `json:"at,omitempty"`
	// Out is how many permits it may spend until At and rules.valid.
	Out int `json:"out"`
	// Unmet is how many live requests wait in vain. Want is how many permits
	// for backfill it would like to hold, and Credit its share of backfill's
	// pace that it has not fetched.
	Unmet  int     `json:"unmet,omitempty"`
	Want   int     `json:"want,omitempty"`
	Credit float64 `json:"credit,omitempty"`

	Unknown versioned.Unknown `json:",embed"`
}

// decode reads a record; nil for one that is no record, or of another window. One of
// a later version is a *versioned.Newer: it must not be replaced.
func decode(value []byte, rules rules) (*record, error) {
	var r record
	err := versioned.Decode(value, version, &r)
	if _, later := errors.AsType[*versioned.Newer](err); later {
		return nil, err
	}
	if err != nil || r.Version != version || r.WindowMS != rules.window.Milliseconds() || !r.sound() {
		return nil, nil
	}
	if r.Workers == nil {
		r.Workers = map[string]entry{}
	}
	return &r, nil
}

// sound tells whether the record can be counted with.
func (r *record) sound() bool {
	for _, e := range r.Workers {
		if e.Out < 0 || e.Out > mostBelieved || e.Unmet < 0 || e.Want < 0 || !(e.Credit >= 0 && e.Credit < mostBelieved) {
			return false
		}
	}
	return r.Spent.sound() && r.Fresh[Live] >= 0 && r.Fresh[Backfill] >= 0
}

// opening is the first record of a scope, and the one that follows when a
// record was lost.
func opening(rules rules) *record {
	return &record{Version: version, WindowMS: rules.window.Milliseconds(), Opening: true, Workers: map[string]entry{}}
}

// settle brings the record, written at written, to the time now. now may be
// earlier than it really is, never later.
func (r *record) settle(rules rules, written, now int64) {
	if r.Opening {
		// Whatever was sent in the window before this record, it is assumed to
		// have been the limit, evenly.
		r.Opening, r.Opened = false, rules.slotOf(written)+1
		r.Spent = full(rules.slotOf(written), r.Estimate.limit(rules))
	}
	r.Spent.add(rules.slotOf(written+int64(rules.lag)), r.Fresh[Live], r.Fresh[Backfill])
	r.Fresh = [2]int{}
	for name, e := range r.Workers {
		if e.At == 0 {
			e.At = written
			r.Workers[name] = e
		}
		if end := e.At + int64(rules.valid); end+int64(rules.lag) <= now {
			r.Spent.add(rules.slotOf(end+int64(rules.lag)), 0, e.Out)
			delete(r.Workers, name)
		}
	}
	r.Spent.forget(rules.slotOf(now - int64(rules.window)))
}

// follow puts a record on the store's clock as it was at written, and gives by
// how much that was set back: 0 when it was not, or by rules.doubt or less.
//
// PacedAt is the latest time that a writer believed. Where it lies further ahead
// of written than a writer can err, the times are of another clock. They are put
// back by the difference less rules.doubt: not by more than the clock was, so
// that nothing spent is forgotten too early.
func (r *record) follow(rules rules, written int64) (back time.Duration) {
	by := int64(0)
	if ahead := time.Duration(r.PacedAt - written); ahead > rules.doubt() {
		back, by = ahead, int64(ahead-rules.doubt())
		r.Spent.move(by / int64(rules.slot))
		r.Opened = max(r.Opened-by/int64(rules.slot), 0)
		r.Estimate.move(by)
		r.PacedAt = written
	}
	r.Estimate.bound(rules, written)
	for name, e := range r.Workers {
		if e.At != 0 {
			e.At = min(e.At-by, written)
			r.Workers[name] = e
		}
	}
	return back
}

// sums are what counts as spent, the writer's own included.
func (r *record) sums() (live, backfill int) {
	live, backfill = r.Spent.sums()
	return live + r.Fresh[Live], backfill + r.Fresh[Backfill]
}

// presumed is how much of the sums nobody is known to have spent.
func (r *record) presumed() (n int) {
	for i := range r.Spent.Live {
		if r.Spent.Base+int64(i) < r.Opened {
			n += r.Spent.Live[i] + r.Spent.Backfill[i]
		}
	}
	return n
}

// out is how many permits are in the workers' hands.
func (r *record) out() int {
	n := 0
	for _, e := range r.Workers {
		n += e.Out
	}
	return n
}

// active tells whether the entry's worker still comes.
func (e entry) active(rules rules, now int64) bool {
	return e.At == 0 || e.At >= now-int64(5*rules.every)
}

// unmet is how many live requests of how many workers wait in vain.
func (r *record) unmet(rules rules, now int64) (requests, workers int) {
	for _, e := range r.Workers {
		if e.Unmet > 0 && e.active(rules, now) {
			requests += e.Unmet
			workers++
		}
	}
	return requests, workers
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

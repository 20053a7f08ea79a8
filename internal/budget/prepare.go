package budget

import (
	"cmp"
	"time"
)

// draft is an exchange that is about to be written.
type draft struct {
	exchange exchange
	next     *record
	call     call
	// heard is how much of the waiters's news it tells.
	heard int
	// at is the store's time at the local time, as far as the worker knows.
	at    int64
	local time.Time
	// blind: it brought too little, perhaps because the worker did not know
	// what time it is at the store.
	blind bool
	// back is by how much the store's clock was found to be set back, 0 when
	// it was not.
	back time.Duration
}

// prepare makes the record that follows the one that was read.
func (b *Budget) prepare(value []byte, revision uint64, written time.Time) (draft, error) {
	var found *record
	if revision != 0 {
		var err error
		if found, err = decode(value, b.rules); err != nil {
			return draft{}, err
		}
	}
	now := b.now()
	if found == nil {
		return b.reopen(opening(b.rules), revision, now), nil
	}
	back := found.follow(b.rules, written.UnixNano())
	b.clock.turn(revision, written, b.rules.lag)
	_, sure := b.clock.at(now, written)
	if revision == b.schedule.wrote.revision {
		b.clock.sawOwn(written, b.schedule.wrote.sent, b.schedule.wrote.confirmed)
	} else {
		b.clock.saw(written, now)
	}
	at, _ := b.clock.at(now, written)
	found.settle(b.rules, written.UnixNano(), at)

	allowance := &b.waiters.allowance
	mine, known := found.Workers[b.worker]
	if allowance.meet(mine, known, revision, now) {
		d := b.reopen(found, revision, now)
		d.back = back
		return d, nil
	}
	covered := !known && allowance.told.seq != 0
	d := draft{next: found, heard: b.waiters.heard, at: at, local: now, back: back}
	d.call = b.waiters.wish(b.rules, found, now, at)
	d.call.worker = b.worker
	d.exchange, d.call.used, d.call.late = allowance.ask(covered, revision, now.Add(b.rules.valid))
	d.call.seq = d.exchange.seq
	d.exchange.grant = found.exchange(b.rules, d.call, at)
	d.blind = !sure && d.exchange.grant.out < d.call.float+min(d.call.want, leastCredit)
	allowance.try(d.exchange)
	return d, nil
}

// reopen makes a record in which nothing is granted, before the store has told
// its time: there was none, or it was an old one come back.
func (b *Budget) reopen(r *record, revision uint64, now time.Time) draft {
	r.Opening = true
	r.Estimate = cmp.Or(r.Estimate, b.waiters.estimate)
	v, used, late := b.waiters.allowance.ask(false, revision, now.Add(b.rules.valid))
	r.Fresh = [2]int{Live: used[Live] + late, Backfill: used[Backfill]}
	delete(r.Workers, b.worker)
	v.grant = grant{gone: true}
	b.waiters.allowance.try(v)
	return draft{exchange: v, next: r, local: now, blind: true}
}

// took is called when an exchange stands in the record.
func (b *Budget) took(d draft) {
	b.waiters.allowance.confirm(d.exchange)
	if d.back > 0 {
		b.log.Warn("the clock of the NATS server was set back: the request budget's record was put on the new time", "by", d.back.Round(time.Second))
	}
	if d.next.Opening {
		b.complain(d.local, "the request budget's record was missing, unreadable, of another window or an old one: the window is taken to be full, and requests start at an even pace")
		return
	}
	b.waiters.estimate = d.next.Estimate
	if b.waiters.heard == d.heard {
		b.waiters.news, b.waiters.pressing = Answer{}, false
	}
	if hold := d.local.Add(time.Duration(d.next.Estimate.Hold - d.at)); hold.After(b.waiters.frozen) {
		b.waiters.frozen = hold
	}
	b.schedule.float = d.exchange.grant.out - d.exchange.grant.backfill
	b.schedule.scanty = b.schedule.float < d.call.float
	b.schedule.seen, b.schedule.seenAt, b.schedule.seenLocal = d.next, d.at, d.local
}

// mostFloat is how many permits for live a worker holds at least, where the
// limit is high enough; floatPart of the limit is held by all workers together.
const (
	mostFloat = 8
	floatPart = 200
)

// wish is what this worker wants of the record.
func (d *waiters) wish(rules rules, r *record, now time.Time, at int64) call {
	used, _ := d.allowance.unreported()
	c := call{news: d.news}
	_, c.kept = d.allowance.held(now)
	if d.closed {
		return c
	}
	c.waiting = d.waiting(Live)
	if c.want = d.waiting(Backfill) + d.want[Backfill]; c.want > 0 {
		// More will come where that much was spent since the last exchange.
		c.want += used[Backfill]
	}
	wanted := c.waiting + d.want[Live]
	if wanted+c.want+used[Live]+used[Backfill] == 0 {
		return c // idle: what is held goes back
	}
	limit := r.Estimate.effective(rules, at)
	floor := min(max(limit/floatPart/max(len(r.Workers), 1), 1), mostFloat)
	c.float = wanted + floor + min(2*used[Live], limit/100)
	return c
}

package budget

import "time"

// storeClock knows how late it is on the store's clock at least. It trusts no
// clock but the store's, and this process's own only for spans of minutes: what
// a worker's clock says of the time of day plays no part.
type storeClock struct {
	base time.Time
	// span is how long a sighting counts, once to twice: less than permits last.
	// Who believes an old time no longer than that takes nobody's permits for
	// lapsed, and forgets nothing too early.
	span time.Duration
	// ahead holds, for this span of time and the one before, the most that the
	// store's clock was seen to be ahead of the time since base.
	ahead [2]sighting
	// last is the revision that was read last.
	last struct {
		revision uint64
		written  time.Time
	}
}

type sighting struct {
	seen  bool
	span  int64
	ahead time.Duration
}

// turn comes before saw and sawOwn, for every revision that is read. Where a
// later one was written earlier, by more than lag, the clock was set back; where
// an earlier one is read, it may be of another clock. What was seen is forgotten.
func (c *storeClock) turn(revision uint64, written time.Time, lag time.Duration) {
	if revision < c.last.revision || written.Before(c.last.written.Add(-lag)) {
		c.ahead = [2]sighting{}
	}
	c.last.revision, c.last.written = revision, written
}

// saw notes that the store's clock had shown written at the local time by.
func (c *storeClock) saw(written, by time.Time) {
	local := by.Sub(c.base)
	ahead, span := time.Duration(written.UnixNano())-local, int64(local/c.span)
	if !c.ahead[0].seen || c.ahead[0].span != span {
		c.ahead[1], c.ahead[0] = c.ahead[0], sighting{true, span, ahead}
	}
	c.ahead[0].ahead = max(c.ahead[0].ahead, ahead)
}

// sawOwn notes the store's time of a write of this worker. It cannot be ahead by
// more than from the moment when the write was sent: where it was believed to
// be, it was set back.
func (c *storeClock) sawOwn(written, sent, confirmed time.Time) {
	most := time.Duration(written.UnixNano()) - sent.Sub(c.base)
	for i := range c.ahead {
		if c.ahead[i].seen && c.ahead[i].ahead > most {
			c.ahead[i] = sighting{}
		}
	}
	c.saw(written, confirmed)
}

// at is the store's time at a local time, in ns: at least. fresh tells whether
// it is known by more than that of the last write.
func (c *storeClock) at(local, written time.Time) (now int64, fresh bool) {
	now = written.UnixNano()
	passed := local.Sub(c.base)
	for _, s := range c.ahead {
		if s.seen && int64(passed/c.span)-s.span <= 1 {
			now, fresh = max(now, int64(s.ahead+passed)), true
		}
	}
	return now, fresh
}

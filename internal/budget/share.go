package budget

// call is what a worker brings to an exchange of the record.
type call struct {
	worker string
	seq    uint64
	// used is what it spent since its last exchange, by class; late is counted
	// again as live.
	used [2]int
	late int
	// kept is how many permits for backfill it holds.
	kept int
	// float is how many permits for live it wants to hold, and waiting how many
	// of these are waited for. want is how many for backfill.
	float, waiting, want int
	news                 Answer
}

// grant is what it takes away.
type grant struct {
	// out is how many permits it holds now, and backfill how many of them may
	// be spent by backfill.
	out, backfill int
	// gone: the worker holds and wants nothing, and has no entry any more.
	gone bool
}

// exchange books a call in a settled record.
func (r *record) exchange(rules rules, c call, now int64) grant {
	r.Fresh = [2]int{Live: c.used[Live] + c.late, Backfill: c.used[Backfill]}
	live, backfill := r.sums()
	r.Estimate.learn(rules, c.news, live+backfill-r.presumed(), now)
	limit := r.Estimate.effective(rules, now)

	mine := r.Workers[c.worker]
	delete(r.Workers, c.worker)
	unmet, waiters := r.unmet(rules, now)
	room := min(max(limit-live-backfill-r.out(), 0), r.Estimate.most(rules, limit, now))

	mine = entry{Seq: c.seq, Want: c.want, Credit: mine.Credit, Unknown: mine.Unknown}
	r.Workers[c.worker] = mine
	r.accrue(rules, limit, now)
	mine = r.Workers[c.worker]

	float := liveShare(c, room, unmet, waiters)
	mine.Unmet = max(c.waiting-float, 0)
	kept := min(c.kept, c.want, room-float)
	more := 0
	if unmet == 0 && mine.Unmet == 0 {
		more = min(int(mine.Credit), c.want-kept, room-float-kept)
	}
	mine.Credit += float64(c.kept - kept - more)
	mine.Out = float + kept + more
	r.Workers[c.worker] = mine
	g := grant{out: mine.Out, backfill: kept + more}
	if mine.Out == 0 && mine.Want == 0 && mine.Unmet == 0 {
		delete(r.Workers, c.worker)
		g.gone = true
	}
	return g
}

// liveShare is how many permits for live a worker gets of the room there is.
// Where others wait in vain, one that waits too gets an equal part, and one
// that does not gets what they leave.
func liveShare(c call, room, unmet, waiters int) int {
	switch {
	case room >= c.float+unmet:
		return c.float
	case c.waiting > 0:
		return min(c.float, max(room-unmet, (room+waiters)/(waiters+1)))
	}
	return min(c.float, max(room-unmet, 0))
}

// leastCredit is what a worker's share of the pace may always grow to: one Take.
const leastCredit = MostAtOnce

// accrue shares out backfill's pace since the last exchange among the workers that
// want permits for backfill, equally; what one cannot use goes to the others.
func (r *record) accrue(rules rules, limit int, now int64) {
	span := min(now-r.PacedAt, int64(rules.burst()))
	if span <= 0 {
		return
	}
	r.PacedAt = now
	open := map[string]entry{}
	for name, e := range r.Workers {
		if e.Want > 0 && e.active(rules, now) {
			open[name] = e
		}
	}
	if len(open) == 0 {
		return
	}
	rate := r.rate(rules, limit)
	most := max(rate*rules.burst().Seconds()/float64(len(open)), leastCredit)
	amount := rate * seconds(span)
	for len(open) > 0 && amount > 1e-9 {
		share := amount / float64(len(open))
		for name, e := range open {
			top := min(most, float64(e.Want))
			add := min(share, max(top-e.Credit, 0))
			amount -= add
			e.Credit += add
			r.Workers[name] = e
			if add < share {
				delete(open, name)
			} else {
				open[name] = e
			}
		}
	}
}

// catchUp is by how much of itself the pace may rise while less was spent than
// backfill's part, as after an outage.
const catchUp = 0.1

// rate is backfill's pace in requests a second: its part of the limit, spread
// over the window. Where the window holds more than that part, because live
// took some of it since, the pace falls by as much.
func (r *record) rate(rules rules, limit int) float64 {
	live, backfill := r.sums()
	// Requests count for longer than the window in which Redox counts them: of
	// those of an even pace the record holds more than a window's.
	inWindow := rules.window.Seconds() / rules.counts().Seconds()
	part := float64(limit)*(1-rules.reserve) - float64(live)*inWindow
	if part < 1 {
		return 0
	}
	off := (part - float64(backfill)*inWindow) / part
	if off > 0 {
		off *= catchUp
	}
	rate := part / rules.window.Seconds() * max(1+off, 0)
	// Without a reserve the window would be full, and whoever comes first would
	// get what becomes free: the pace keeps below that, so that all get their
	// share.
	free := max(limit-live-r.out(), 0)
	return min(rate, float64(free)/rules.counts().Seconds())
}

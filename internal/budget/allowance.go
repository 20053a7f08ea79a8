package budget

import "time"

// allowance is what this worker may spend. What it took is counted up for ever;
// each exchange of the record says up to which count it reported, and how many
// permits were left to it then.
type allowance struct {
	taken [2]int
	late  int
	// told is the last exchange that is known to be in the record. doubtful are
	// later ones that may be: their answer was lost. The worker keeps to the
	// least that any of them leaves.
	told     exchange
	doubtful []exchange
	seq      uint64
}

// exchange is one as the worker remembers it.
type exchange struct {
	// seq is in the record's entry; 0 when there is no entry.
	seq      uint64
	grant    grant
	reported [2]int
	late     int
	// over is the revision that it replaced, until how long its permits last.
	over  uint64
	until time.Time
}

// left is what an exchange still leaves, in all and for backfill.
func (p *allowance) left(v exchange) (all, backfill int) {
	all = v.grant.out - (p.taken[Live] - v.reported[Live]) - (p.taken[Backfill] - v.reported[Backfill])
	backfill = v.grant.backfill - (p.taken[Backfill] - v.reported[Backfill])
	return max(all, 0), max(min(all, backfill), 0)
}

// held is what may be spent now, in all and for backfill.
func (p *allowance) held(now time.Time) (all, backfill int) {
	if !now.Before(p.told.until) {
		return 0, 0
	}
	all, backfill = p.left(p.told)
	for _, v := range p.doubtful {
		a, b := p.left(v)
		all, backfill = min(all, a), min(backfill, b)
	}
	return all, min(all, backfill)
}

// unreported is what was spent and is not known to be in the record.
func (p *allowance) unreported() (used [2]int, late int) {
	for class := range used {
		used[class] = p.taken[class] - p.told.reported[class]
	}
	return used, p.late - p.told.late
}

// meet compares the allowance with what a settled record of a revision says of it.
// lost tells that the record has forgotten an exchange which it had: it is an older
// one come back, or was made again.
func (p *allowance) meet(e entry, known bool, revision uint64, now time.Time) (lost bool) {
	var open []exchange
	for _, v := range p.doubtful {
		if known && e.Seq == v.seq || !known && v.grant.gone {
			p.confirm(v)
			return false
		}
		if v.over >= revision {
			open = append(open, v) // it may still arrive
		}
	}
	if known && e.Seq == p.told.seq || !known && p.told.seq == 0 {
		p.doubtful = open
		return false
	}
	return known || now.Before(p.told.until)
}

// ask is an exchange to be made with all that was spent. covered tells that the
// record has counted what was not reported: with an entry that ran out, all
// its permits are counted as spent.
func (p *allowance) ask(covered bool, revision uint64, until time.Time) (v exchange, used [2]int, late int) {
	used, late = p.unreported()
	if covered {
		used = [2]int{}
	}
	p.seq++
	return exchange{seq: p.seq, reported: p.taken, late: p.late, over: revision, until: until}, used, late
}

// confirm makes an exchange the one that counts.
func (p *allowance) confirm(v exchange) {
	if v.grant.gone {
		v.seq = 0
	}
	p.told, p.doubtful = v, nil
}

// try notes an exchange that is about to be written.
func (p *allowance) try(v exchange) { p.doubtful = append(p.doubtful, v) }

// failed takes back an exchange that was certainly not written.
func (p *allowance) failed(seq uint64) {
	for i, v := range p.doubtful {
		if v.seq == seq {
			p.doubtful = append(p.doubtful[:i], p.doubtful[i+1:]...)
			return
		}
	}
}

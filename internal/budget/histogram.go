package budget

import "slices"

// histogram counts what was spent, by slot of the store's time.
type histogram struct {
	// Base is the number of the first slot.
	Base     int64  `json:"base"`
	Live     counts `json:"live"`
	Backfill counts `json:"backfill"`
}

// add books requests in a slot. One before the first is booked in the first,
// which is later.
func (t *histogram) add(slot int64, live, backfill int) {
	if live == 0 && backfill == 0 {
		return
	}
	if len(t.Live) == 0 {
		t.Base = slot
	}
	at := max(slot-t.Base, 0)
	for int64(len(t.Live)) <= at {
		t.Live, t.Backfill = append(t.Live, 0), append(t.Backfill, 0)
	}
	t.Live[at] += live
	t.Backfill[at] += backfill
}

// forget drops the slots before first.
func (t *histogram) forget(first int64) {
	n := int(min(max(first-t.Base, 0), int64(len(t.Live))))
	t.Live, t.Backfill = slices.Delete(t.Live, 0, n), slices.Delete(t.Backfill, 0, n)
	t.Base += int64(n)
}

// move puts the slots so many earlier.
func (t *histogram) move(slots int64) { t.Base = max(t.Base-slots, 0) }

// sums are all that is booked.
func (t *histogram) sums() (live, backfill int) { return t.Live.sum(), t.Backfill.sum() }

// sound tells whether it can be counted with.
func (t *histogram) sound() bool { return len(t.Live) == len(t.Backfill) && t.Base >= 0 }

// full is a window up to slot last in which limit requests were spent evenly,
// all as backfill.
func full(last int64, limit int) histogram {
	t := histogram{Base: last - slots + 1, Live: make(counts, slots), Backfill: make(counts, slots)}
	for i := range t.Backfill {
		t.Backfill[i] = limit*(i+1)/slots - limit*i/slots
	}
	return t
}

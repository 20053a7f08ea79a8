package budget

import (
	"testing"
	"time"
)

// deskWith holds ten permits, four of them for backfill.
func deskWith() *waiters {
	d := &waiters{}
	d.allowance.told = exchange{seq: 1, grant: grant{out: 10, backfill: 4}, until: noon.Add(time.Minute)}
	return d
}

func served(w *waiter) bool {
	select {
	case <-w.served:
		return true
	default:
		return false
	}
}

func TestLiveIsServedFirst(t *testing.T) {
	d := deskWith()
	d.allowance.taken[Live] = 8 // two are left
	first, second := d.wait(Backfill, 1), d.wait(Backfill, 1)
	live, behind := d.wait(Live, 3), d.wait(Live, 1)
	d.serve(noon)
	if served(first) || served(live) || served(behind) || d.available(Backfill, noon) != 0 || d.available(Live, noon) != 0 {
		t.Error("a live request that waits was passed")
	}
	if !d.leave(live) || d.leave(live) {
		t.Error("who waits can leave once")
	}
	d.serve(noon)
	if !served(behind) || !served(first) || served(second) || d.leave(first) {
		t.Error("those behind it were not served in their order")
	}
	d = deskWith()
	d.wait(Backfill, 3)
	if d.available(Live, noon) != 10 || d.available(Backfill, noon) != 1 {
		t.Errorf("%d and %d are available", d.available(Live, noon), d.available(Backfill, noon))
	}
	d.frozen = noon.Add(1)
	if d.available(Live, noon) != 0 {
		t.Error("something is available after a refusal")
	}
}

func TestDue(t *testing.T) {
	rules := testRules
	for name, c := range map[string]struct {
		change func(*waiters, *schedule)
		want   time.Duration // after the last exchange; -1 for never
	}{
		"nothing held, nothing wanted": {func(d *waiters, _ *schedule) { d.allowance.told = exchange{} }, -1},
		"permits to give back":         {func(*waiters, *schedule) {}, rules.linger},
		"something to report":          {func(d *waiters, _ *schedule) { d.allowance.told = exchange{}; d.allowance.taken[Live] = 1 }, rules.linger},
		"late to report":               {func(d *waiters, _ *schedule) { d.allowance.told = exchange{}; d.allowance.late = 1 }, rules.linger},
		"in doubt":                     {func(d *waiters, _ *schedule) { d.allowance.told = exchange{}; d.allowance.try(exchange{}) }, rules.linger},
		"backfill is wanted":           {func(d *waiters, _ *schedule) { d.want[Backfill] = 5 }, rules.every},
		"no more than there is":        {func(d *waiters, _ *schedule) { d.want[Backfill] = 4 }, rules.linger},
		"backfill waits":               {func(d *waiters, _ *schedule) { d.wait(Backfill, 4); d.wait(Backfill, 1) }, rules.every},
		"live waits":                   {func(d *waiters, _ *schedule) { d.want[Live] = 11 }, rules.urgent},
		"live waits in vain":           {func(d *waiters, t *schedule) { d.want[Live] = 11; t.scanty = true }, rules.every},
		"half of the float is spent":   {func(d *waiters, t *schedule) { t.float = 6; d.allowance.taken[Live] = 4 }, rules.urgent},
		"less than half":               {func(d *waiters, t *schedule) { t.float = 6; d.allowance.taken[Live] = 3 }, rules.linger},
		"a refusal":                    {func(d *waiters, _ *schedule) { d.pressing = true }, rules.urgent},
		"a pause":                      {func(d *waiters, _ *schedule) { d.want[Live] = 1; d.frozen = noon.Add(20 * time.Second) }, 20 * time.Second},
		"a store that is away":         {func(d *waiters, t *schedule) { d.want[Live] = 11; t.failures = 2 }, 3 * rules.urgent},
		"away for long":                {func(d *waiters, t *schedule) { d.want[Live] = 11; t.failures = 9 }, 12 * rules.urgent},
		"away, and nothing to do":      {func(d *waiters, t *schedule) { d.allowance.told = exchange{}; t.failures = 9 }, -1},
	} {
		d, schedule := deskWith(), &schedule{last: noon}
		c.change(d, schedule)
		at, due := schedule.due(d, rules, noon, 0.5)
		if got := at.Sub(noon); due != (c.want >= 0) || due && got != c.want {
			t.Errorf("%s: due %v after %s, want %s", name, due, got, c.want)
		}
	}
}

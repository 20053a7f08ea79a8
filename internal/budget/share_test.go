package budget

import (
	"math"
	"testing"
	"time"
)

var testRules = rulesOf(Settings{Requests: testLimit, Window: testWindow, Reserve: 0.2})

// at0 is some time of the store's clock, at the start of a slot.
const at0 = int64(1_700_000_000 * time.Second)

func TestLiveShare(t *testing.T) {
	for name, c := range map[string]struct {
		float, waiting       int
		room, unmet, waiters int
		want                 int
	}{
		"room for all":                       {10, 4, 100, 0, 0, 10},
		"room for all and those in vain":     {10, 4, 30, 20, 1, 10},
		"alone with too little":              {10, 4, 6, 0, 0, 6},
		"nothing":                            {10, 4, 0, 5, 1, 0},
		"as much as another in vain":         {100, 90, 40, 90, 1, 20},
		"the other needs less than its part": {100, 90, 40, 5, 1, 35},
		"who does not wait leaves the rest":  {10, 0, 12, 8, 1, 4},
		"who does not wait gives back":       {10, 0, 8, 8, 1, 0},
		"one is left for three":              {5, 5, 1, 9, 2, 1},
	} {
		if got := liveShare(call{float: c.float, waiting: c.waiting}, c.room, c.unmet, c.waiters); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestAccrueSharesEqually(t *testing.T) {
	now := at0 + int64(time.Second)
	fresh := func() *record {
		return &record{PacedAt: at0, Workers: map[string]entry{
			"a": {Want: 100}, "b": {Want: 100, At: now}, "c": {Want: 2, At: now},
			"gone": {Want: 100, At: now - int64(6*testRules.every)}, "idle": {At: now},
		}}
	}
	r := fresh()
	r.accrue(testRules, testLimit, now)
	// 6000 in 300 s, a tenth more while the window is empty: 22 a second.
	want := map[string]float64{"a": 10, "b": 10, "c": 2, "gone": 0, "idle": 0}
	for name, credit := range want {
		if got := r.Workers[name].Credit; math.Abs(got-credit) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, credit)
		}
	}
	// Time passed is shared out once, and a long silence is no burst.
	r.accrue(testRules, testLimit, now)
	r.accrue(testRules, testLimit, now-int64(time.Second))
	if got := r.Workers["a"].Credit; math.Abs(got-10) > 1e-6 {
		t.Errorf("the same time was shared out twice: %v", got)
	}
	for range 10 {
		r.PacedAt -= int64(time.Hour)
		r.accrue(testRules, testLimit, now)
	}
	if got := r.Workers["a"].Credit; math.Abs(got-22) > 1e-6 { // 3 s of the pace, by 3 workers
		t.Errorf("after a silence %v, want 22", got)
	}
}

func TestRate(t *testing.T) {
	// The record counts what was sent in 302.25 s, and Redox in 300: 6045 are
	// 6000, 1612 are 1600 and 4433 are 4400.
	for name, c := range map[string]struct {
		live, backfill int
		reserve        float64
		want           float64
	}{
		"empty":                       {0, 0, 0.2, 22},
		"its part":                    {0, 6045, 0.2, 20},
		"live took some":              {1612, 4433, 0.2, 44.0 / 3},
		"live took from it":           {1612, 6045, 0.2, 28.0 / 3},
		"live took all but the rest":  {6000, 1000, 0.2, 0},
		"without reserve, just below": {0, 7000, 0, 7500 / 302.25},
	} {
		rules := testRules
		rules.reserve = c.reserve
		r := &record{Fresh: [2]int{c.live, c.backfill}}
		if got := r.rate(rules, testLimit); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestVisitNeverGrantsMoreThanThereIs(t *testing.T) {
	now := at0
	r := &record{PacedAt: now, Workers: map[string]entry{"b": {Out: 40, At: now}}}
	r.Spent.add(testRules.slotOf(now), 3000, 4400)
	g := r.exchange(testRules, call{worker: "a", seq: 1, used: [2]int{10, 20}, float: 100, waiting: 90, want: 50}, now)
	if g.out != 30 || g.backfill != 0 {
		t.Errorf("%+v of the 30 that are left", g)
	}
	if live, backfill := r.sums(); live+backfill+r.out() != testLimit || r.Workers["a"].Unmet != 60 {
		t.Errorf("%d and %d spent, %d out, %+v", live, backfill, r.out(), r.Workers["a"])
	}
	// While a live request waits anywhere, backfill gets nothing new.
	r.Spent = histogram{}
	e := r.Workers["a"]
	e.At = now
	r.Workers["a"] = e
	g = r.exchange(testRules, call{worker: "b", seq: 1, want: 50, kept: 3}, now+int64(time.Second))
	if g.backfill != 3 {
		t.Errorf("%+v while live requests wait, want the 3 that it had", g)
	}
	// One that holds and wants nothing leaves no entry.
	if g = r.exchange(testRules, call{worker: "b", seq: 2}, now); !g.gone || g.out != 0 || len(r.Workers) != 1 {
		t.Errorf("%+v, %v", g, r.Workers)
	}
}

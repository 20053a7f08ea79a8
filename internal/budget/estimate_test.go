package budget

import (
	"math"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	for windows, want := range map[float64]float64{-1: 0, 0: 0, 0.5: 0.005, 1: 0.01, 2: 0.03, 3: 0.07, 4: 0.15, 5: 0.25, 6.5: 0.4, 100: 1.05} {
		if got := growth(windows); math.Abs(got-want) > 1e-9 {
			t.Errorf("after %v windows %v, want %v", windows, got, want)
		}
	}
}

func TestALimitIsBelieved(t *testing.T) {
	minute := int64(time.Minute)
	rules := testRules
	var b estimate
	hear := func(limit int, at int64) int {
		b.learn(rules, Answer{Limit: limit}, 0, at)
		return b.limit(rules)
	}
	for i, step := range []struct {
		limit int
		at    int64
		want  int
	}{
		{0, 0, 7500},
		{7500, 0, 7500},
		{5000, 1, 5000},                // a lower one at once
		{9000, 2, 5000},                // a higher one not yet
		{8000, minute, 5000},           //
		{9000, 2 + minute, 8000},       // the least of those that were stated
		{20_000, 3 + minute, 8000},     //
		{8000, 4 + minute, 8000},       // contradicted
		{20_000, 4 + 2*minute, 8000},   // so the minute begins again
		{20_000, 4 + 3*minute, 20_000}, //
		{2_000_000, 5 * minute, 20_000},
		{2_000_000, 6 * minute, mostBelieved},
	} {
		if got := hear(step.limit, step.at); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	rules.most = 6000
	if got := b.limit(rules); got != 6000 {
		t.Errorf("%d, want no more than was set", got)
	}
}

func TestARefusalCuts(t *testing.T) {
	window, rules := int64(testWindow), testRules
	base, lag := int64(rules.holdBase()), int64(rules.lag)
	var b estimate
	b.learn(rules, Answer{Refused: true}, 5000, at0)
	if got := b.effective(rules, at0); got != 4750 || b.Hold != at0+base+lag {
		t.Fatalf("%d until %d, want 4750", got, b.Hold-at0)
	}
	// What was under way says nothing new, but may ask for more time.
	b.learn(rules, Answer{Refused: true, RetryAfter: time.Minute}, 5000, at0+base/2)
	if b.Times != 1 || b.Row != 1 || b.Hold != at0+base/2+int64(time.Minute)+lag {
		t.Errorf("%+v", b)
	}
	b.learn(rules, Answer{Refused: true, RetryAfter: time.Hour}, 5000, at0+base/2)
	if b.Hold != at0+base/2+int64(15*time.Minute)+lag {
		t.Error("nobody waits longer than a quarter of an hour")
	}
	// It stands for two windows, then grows.
	for windows, want := range map[int64]int{2: 4750, 3: 4825, 4: 4975, 20: 7500} {
		if got := b.effective(rules, at0+windows*window); got != want {
			t.Errorf("after %d windows %d, want %d", windows, got, want)
		}
	}
	// Refused again at about the same: it stands longer.
	again := at0 + 4*window
	b.learn(rules, Answer{Refused: true}, 5000, again)
	if got := b.effective(rules, again+4*window); got != 4750 {
		t.Errorf("%d, want 4750 for four windows", got)
	}
	// Nothing is taken at all: down to the least, and up soon.
	for i := range 60 {
		b.learn(rules, Answer{Refused: true}, 10, again+int64(i)*window/4+window)
	}
	last := again + 59*window/4 + window
	if got := b.effective(rules, last); got != testLimit/leastPart {
		t.Errorf("%d, want the least", got)
	}
	if got := b.effective(rules, last+3*window+window/2); got != testLimit/leastPart<<3 {
		t.Errorf("%d after three windows", got)
	}
	if got := b.effective(rules, last+6*window); got != 3800 {
		t.Errorf("%d, want four fifths of what was before", got)
	}
	// A limit that was stated with the refusal explains it.
	var c estimate
	c.learn(rules, Answer{Refused: true, Limit: 5000}, 5000, at0)
	if c.Cut != 0 || c.Hold == 0 || c.effective(rules, at0) != 5000 {
		t.Errorf("%+v", c)
	}
	// Once all of it is back, nothing is left of the cut.
	b.learn(rules, Answer{}, 0, last+100*window)
	if b.Cut != 0 || b.Times != 0 {
		t.Errorf("%+v", b)
	}
}

func TestAPauseEndsGently(t *testing.T) {
	b := estimate{Hold: at0}
	for after, want := range map[time.Duration]int{-1: 0, 0: 1, 3*time.Second - 1: 1, 3 * time.Second: 40, 30*time.Second - 1: 40, 30 * time.Second: mostBelieved} {
		if got := b.most(testRules, 6000, at0+int64(after)); got != want {
			t.Errorf("%s after it %d, want %d", after, got, want)
		}
	}
	if got := (&estimate{}).most(testRules, 6000, 1); got != mostBelieved {
		t.Errorf("%d where nothing was refused", got)
	}
}

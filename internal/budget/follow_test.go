package budget

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

// TestFollow puts records of a clock that was ahead on the time that follows.
func TestFollow(t *testing.T) {
	rules := testRules
	ahead, doubt, window := int64(10*time.Hour), int64(rules.doubt()), int64(testWindow)
	old := at0 + ahead
	made := func() *record {
		r := &record{PacedAt: old, Opened: rules.slotOf(old) - 7, Workers: map[string]entry{
			"a": {Out: 3, At: old}, "b": {Out: 4, At: old - int64(rules.linger)}, "writer": {Out: 5},
		}}
		r.Spent.add(rules.slotOf(old-window/2), 10, 20)
		r.Spent.add(rules.slotOf(old), 30, 40)
		r.Estimate = estimate{Rise: 9000, RiseAt: old - 5, Cut: 100, CutAt: old - window, Quiet: old + window, Hold: old - window + 9}
		return r
	}
	r := made()
	if back := r.follow(rules, at0); back != 10*time.Hour {
		t.Errorf("set back by %s", back)
	}
	// All is later by doubt than it is known to be, but for what cannot be.
	if first := at0 - window/2 + doubt; r.Spent.Base != rules.slotOf(first) && r.Spent.Base != rules.slotOf(first)+1 {
		t.Errorf("what was spent half a window ago counts from %s after now on", time.Duration(r.Spent.Base*int64(rules.slot)-at0))
	}
	if live, backfill := r.sums(); live != 40 || backfill != 60 {
		t.Errorf("%d and %d are spent", live, backfill)
	}
	if r.PacedAt != at0 || r.Workers["a"].At != at0 || r.Workers["b"].At != min(at0, at0-int64(rules.linger)+doubt) || r.Workers["writer"].At != 0 {
		t.Errorf("paced up to %d, %+v", r.PacedAt-at0, r.Workers)
	}
	if b := r.Estimate; b.RiseAt != at0 || b.CutAt != at0-window+doubt || b.Quiet != at0+window+doubt || b.Hold != at0-window+9+doubt {
		t.Errorf("%+v", b)
	}
	if r.Opened >= rules.slotOf(at0+doubt) {
		t.Error("what is spent from now on is taken to be presumed")
	}
	if back := r.follow(rules, at0); back != 0 {
		t.Errorf("set back once more, by %s", back)
	}
	// What a writer may err by is no other clock.
	r = made()
	if back := r.follow(rules, old-doubt); back != 0 || r.PacedAt != old || r.Spent.Base != made().Spent.Base {
		t.Errorf("set back by %s", back)
	}
	// Not even an estimate that outlived its record holds anybody up for longer.
	r = opening(rules)
	r.Estimate = estimate{Rise: 1, RiseAt: old, Cut: 1, CutAt: old, Quiet: old, Hold: old}
	r.follow(rules, at0)
	want := estimate{Rise: 1, RiseAt: at0, Cut: 1, CutAt: at0, Quiet: at0 + mostQuiet*window, Hold: at0 + int64(rules.longestHold()+rules.lag)}
	if r.Estimate != want {
		t.Errorf("%+v, want %+v", r.Estimate, want)
	}
}

// TestAnOldTimeIsForgotten reads revisions whose times go back.
func TestAnOldTimeIsForgotten(t *testing.T) {
	base, lag := time.Unix(500, 0), time.Second
	c := storeClock{base: base, span: time.Minute}
	stored := func(s int64) time.Time { return time.Unix(0, at0).Add(time.Duration(s) * time.Second) }
	read := func(what string, revision uint64, written, want int64) {
		t.Helper()
		c.turn(revision, stored(written), lag)
		c.saw(stored(written), base)
		if got, _ := c.at(base, stored(written)); got != stored(want).UnixNano() {
			t.Errorf("%s: %s", what, time.Duration(got-stored(want).UnixNano()))
		}
	}
	read("the first", 5, 100, 100)
	read("servers differ by a little", 6, 99, 100)
	read("set back", 7, 50, 50)
	read("a replica lags behind", 5, 100, 100)
	read("and is up to date", 8, 51, 51)
	read("a record made anew", 1, 40, 40)
}

// TestAClockThatIsSetBackIsLoggedOnce exchanges a record of another clock twice.
func TestAClockThatIsSetBackIsLoggedOnce(t *testing.T) {
	b := lone(t)
	var out bytes.Buffer
	b.log = slog.New(slog.NewTextHandler(&out, nil))
	r := opening(b.rules)
	r.Opening, r.PacedAt = false, noon.Add(10*time.Hour).UnixNano()
	for revision := range uint64(2) {
		value, err := versioned.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.prepare(value, revision+1, noon)
		if err != nil {
			t.Fatal(err)
		}
		b.took(d)
		r = d.next
	}
	if log := out.String(); strings.Count(log, "was set back") != 1 || strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "by=10h0m0s") {
		t.Errorf("logged: %q", log)
	}
}

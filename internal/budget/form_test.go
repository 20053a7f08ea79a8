package budget

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

func TestCounts(t *testing.T) {
	for text, want := range map[string]counts{
		"": {}, "0": {0}, "25 24x3 0x2": {25, 24, 24, 24, 0, 0}, "7x2": {7, 7},
	} {
		var c counts
		if err := c.UnmarshalText([]byte(text)); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%q: %v, %v", text, c, err)
		}
		if back, _ := want.MarshalText(); string(back) != text {
			t.Errorf("%v: %q, want %q", want, back, text)
		}
	}
	for _, text := range []string{"-1", "1x0", "1x-2", "x", "1x", "1 a", "9999999999", "1x1201", "1x1200 1", "1x99999999999999999999"} {
		var c counts
		if err := c.UnmarshalText([]byte(text)); !errors.Is(err, errCounts) {
			t.Errorf("%q was read as %v", text, c)
		}
	}
}

func TestTally(t *testing.T) {
	var a histogram
	a.add(100, 1, 2)
	a.add(103, 0, 4)
	a.add(98, 5, 0) // older than the first: booked there
	if want := (histogram{Base: 100, Live: counts{6, 0, 0, 0}, Backfill: counts{2, 0, 0, 4}}); !reflect.DeepEqual(a, want) {
		t.Errorf("%+v", a)
	}
	a.forget(90)
	a.forget(101)
	if live, backfill := a.sums(); live != 0 || backfill != 4 || a.Base != 101 {
		t.Errorf("%+v", a)
	}
	a.forget(1000)
	a.add(2000, 1, 0)
	if a.Base != 2000 || len(a.Live) != 1 {
		t.Errorf("%+v", a)
	}
	f := full(1000, 100)
	if live, backfill := f.sums(); live != 0 || backfill != 100 || f.Base+int64(len(f.Live))-1 != 1000 {
		t.Errorf("%d to slot %d", backfill, f.Base+int64(len(f.Live))-1)
	}
}

func TestSettle(t *testing.T) {
	rules := testRules
	valid, lag := int64(rules.valid), int64(rules.lag)
	r := &record{Workers: map[string]entry{
		"writer": {Out: 3}, "dying": {Out: 5, At: at0 - valid - lag}, "alive": {Out: 7, At: at0 - valid - lag + 1},
	}, Fresh: [2]int{10, 20}}
	r.Spent.add(rules.slotOf(at0-int64(testWindow))-1, 100, 0) // just over
	r.Spent.add(rules.slotOf(at0-int64(testWindow)), 0, 50)    // not yet
	r.settle(rules, at0, at0)
	live, backfill := r.sums()
	if live != 10 || backfill != 20+5+50 || r.out() != 10 || r.Fresh != [2]int{} {
		t.Errorf("%d live, %d backfill, %d out", live, backfill, r.out())
	}
	if died := r.Spent.Backfill[rules.slotOf(at0)-r.Spent.Base]; died != 5 {
		t.Errorf("%v: what a dead worker held counts from the end of its validity", r.Spent)
	}
	if r.Workers["writer"].At != at0 || len(r.Workers) != 2 {
		t.Errorf("%v", r.Workers)
	}
	// What the writer spent counts for a window after it can have arrived.
	end := at0 + lag + int64(testWindow)
	r.settle(rules, at0, end)
	if live, _ := r.sums(); live != 10 {
		t.Errorf("%d live are left before their window is over", live)
	}
	r.settle(rules, at0, end+int64(rules.slot))
	if live, _ := r.sums(); live != 0 {
		t.Errorf("%d live are left after their window", live)
	}
}

func TestStoreClock(t *testing.T) {
	base := time.Unix(500, 0)
	local := func(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }
	stored := func(s float64) time.Time { return time.Unix(0, at0).Add(time.Duration(s * float64(time.Second))) }
	c := storeClock{base: base, span: time.Minute}
	want := func(what string, at float64, s float64, fresh bool) {
		t.Helper()
		got, f := c.at(local(at), stored(-1000))
		if got != stored(s).UnixNano() || f != fresh {
			t.Errorf("%s: %v s, %v", what, time.Duration(got-at0).Seconds(), f)
		}
	}
	want("before any sighting only the last write is known", 1, -1000, false)
	c.saw(stored(10), local(12))
	want("it is at least", 13, 11, true)
	c.saw(stored(10.5), local(14))
	want("a worse sighting changes nothing", 13, 11, true)
	c.sawOwn(stored(13), local(12.9), local(13.1))
	want("its own write tells more", 14, 13.9, true)
	want("for a minute or two", 119, 118.9, true)
	want("and then no more", 130, -1000, false)
	c.saw(stored(140), local(140))
	c.saw(stored(190), local(190))
	c.sawOwn(stored(180), local(199), local(200))
	want("a clock that was set back is believed", 200, 180, true)
}

func FuzzDecode(f *testing.F) {
	r := opening(testRules)
	r.Opening = false
	r.Spent = full(1000, testLimit)
	r.Workers["a"] = entry{Seq: 3, Out: 4, Want: 5, Credit: 1.5}
	r.Estimate = estimate{Header: 7500, Cut: 5, Hold: 6}
	good, _ := versioned.Encode(r)
	f.Add(good)
	f.Add([]byte(`{"version":1,"window_ms":300000,"spent":{"base":-1}}`))
	f.Add([]byte(`{"version":1,"window_ms":300000,"spent":{"live":"1x300"},"workers":{"a":{"credit":1e300}}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decode(value, testRules)
		if err != nil || r == nil {
			return
		}
		r.settle(testRules, at0, at0+int64(time.Second))
		g := r.exchange(testRules, call{worker: "w", seq: 1, float: 10, waiting: 5, want: 10}, at0+int64(time.Second))
		live, backfill := r.sums()
		if g.out < 0 || g.backfill < 0 || g.backfill > g.out || g.out > 0 && live+backfill+r.out() > max(r.Estimate.limit(testRules), 0) {
			t.Fatalf("%+v from %s", g, value)
		}
		again, err := versioned.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again, testRules); err != nil || back == nil {
			t.Fatalf("a record that was read cannot be read again: %s", again)
		}
	})
}

func TestDecode(t *testing.T) {
	r := opening(testRules)
	value, _ := versioned.Encode(r)
	back, err := decode(value, testRules)
	if err != nil || back == nil {
		t.Fatal(err)
	}
	if again, _ := versioned.Encode(back); !bytes.Equal(again, value) {
		t.Errorf("%s, want %s", again, value)
	}
	if _, err := decode(bytes.Replace(value, []byte(`"version":1`), []byte(`"version":2`), 1), testRules); !later(err) {
		t.Errorf("%v", err)
	}
	other := rulesOf(Settings{Window: time.Minute})
	if back, err := decode(value, other); back != nil || err != nil {
		t.Error("a record of another window was read")
	}
}

func later(err error) bool {
	_, is := errors.AsType[*versioned.Newer](err)
	return is
}

// TestTheFormOfALaterVersion: what this version does not know of a record it keeps,
// and a record that is not its own it does not take for none, whatever is in it.
func TestTheFormOfALaterVersion(t *testing.T) {
	r := opening(testRules)
	r.Workers["w"] = entry{Seq: 1, Out: 2}
	value, err := versioned.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	more := bytes.Replace(value, []byte(`"seq":1`), []byte(`"seq":1,"rank":[1]`), 1)
	more = append(bytes.TrimSuffix(more, []byte("}")), `,"region":{"of":"eu"}}`...)
	read, err := decode(more, testRules)
	if err != nil || read == nil {
		t.Fatal(read, err)
	}
	again, err := versioned.Encode(read)
	if err != nil || !bytes.Contains(again, []byte(`"region":{"of":"eu"}`)) || !bytes.Contains(again, []byte(`"rank":[1]`)) {
		t.Errorf("%s, %v", again, err)
	}
	if read, err := decode([]byte(`{"version":2,"spent":"of another kind"}`), testRules); read != nil || !later(err) {
		t.Errorf("%+v, %v", read, err)
	}
}

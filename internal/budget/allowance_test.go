package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Unix(1_000_000, 0)

// granted is an allowance whose exchange 3 brought ten permits, four for backfill, of
// which one live and two of backfill are spent.
func granted() *allowance {
	p := &allowance{taken: [2]int{Live: 5, Backfill: 7}, seq: 3}
	p.told = exchange{seq: 3, grant: grant{out: 10, backfill: 4}, reported: [2]int{4, 5}, over: 20, until: noon.Add(time.Minute)}
	return p
}

func wantHeld(t *testing.T, p *allowance, now time.Time, all, backfill int) {
	t.Helper()
	if a, b := p.held(now); a != all || b != backfill {
		t.Errorf("%d held and %d for backfill, want %d and %d", a, b, all, backfill)
	}
}

func TestPermitsLastAsLongAsGranted(t *testing.T) {
	p := granted()
	wantHeld(t, p, noon, 7, 2)
	p.taken[Live] += 6 // live may spend what backfill was given
	wantHeld(t, p, noon, 1, 1)
	p.taken[Live]++
	wantHeld(t, p, noon, 0, 0)
	p = granted()
	wantHeld(t, p, noon.Add(time.Minute-1), 7, 2)
	wantHeld(t, p, noon.Add(time.Minute), 0, 0)
}

// TestADoubtfulExchangeLeavesTheLess gives permits back in an exchange whose answer is
// lost, and asks for more in another.
func TestADoubtfulExchangeLeavesTheLess(t *testing.T) {
	p := granted()
	less, _, _ := p.ask(false, 21, noon.Add(2*time.Minute))
	less.grant = grant{out: 3, backfill: 1}
	p.try(less)
	wantHeld(t, p, noon, 3, 1)
	p.taken[Live]++
	wantHeld(t, p, noon, 2, 1)
	more, _, _ := p.ask(false, 22, noon.Add(2*time.Minute))
	more.grant = grant{out: 50, backfill: 50}
	p.try(more)
	wantHeld(t, p, noon, 2, 1)

	// It was not written: the record still shows the exchange before it.
	if p.meet(entry{Seq: 3}, true, 21, noon) {
		t.Error("the record was taken to be lost")
	}
	wantHeld(t, p, noon, 2, 1) // both may still arrive
	if p.meet(entry{Seq: 3}, true, 23, noon) {
		t.Error("the record was taken to be lost")
	}
	wantHeld(t, p, noon, 6, 2) // none can any more
	if p.failed(99); len(p.doubtful) != 0 {
		t.Error(p.doubtful)
	}
}

func TestADoubtfulExchangeThatStandsIsTaken(t *testing.T) {
	p := granted()
	v, used, _ := p.ask(false, 21, noon.Add(2*time.Minute))
	if used != [2]int{1, 2} || v.seq != 4 {
		t.Errorf("%v, %+v", used, v)
	}
	v.grant = grant{out: 20, backfill: 5}
	p.try(v)
	p.taken[Backfill]++
	if p.meet(entry{Seq: 4}, true, 22, noon) {
		t.Error("the record was taken to be lost")
	}
	wantHeld(t, p, noon.Add(90*time.Second), 19, 4)
	if used, _ := p.unreported(); used != [2]int{0, 1} {
		t.Errorf("%v", used)
	}
	// One that gave everything back leaves no entry.
	v, _, _ = p.ask(false, 23, noon.Add(3*time.Minute))
	v.grant = grant{gone: true}
	p.try(v)
	if p.meet(entry{}, false, 24, noon) || p.told.seq != 0 {
		t.Error("an exchange that left no entry was not recognized")
	}
}

func TestARecordThatForgot(t *testing.T) {
	for name, c := range map[string]struct {
		e     entry
		known bool
		now   time.Time
		lost  bool
	}{
		"it remembers":                 {entry{Seq: 3}, true, noon, false},
		"an older exchange":            {entry{Seq: 2}, true, noon, true},
		"none, though permits last":    {entry{}, false, noon, true},
		"none, since they have lapsed": {entry{}, false, noon.Add(time.Minute), false},
	} {
		if got := granted().meet(c.e, c.known, 22, c.now); got != c.lost {
			t.Errorf("%s: lost is %v", name, got)
		}
	}
	// Where permits lapsed, the record has counted all of them as spent.
	p := granted()
	p.late = 2
	if v, used, late := p.ask(true, 22, noon); used != [2]int{} || late != 2 || v.reported != p.taken || v.late != 2 {
		t.Errorf("%v and %d late are reported, %+v", used, late, v)
	}
}

// lone is a budget at noon that is not running.
func lone(t *testing.T) *Budget {
	t.Helper()
	b, err := New(Settings{Requests: testLimit, Window: testWindow, Worker: "w"}, nil, func() time.Time { return noon }, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatWasLearnedOutlivesTheRecord(t *testing.T) {
	b := lone(t)
	b.waiters.estimate = estimate{Header: 5000, Cut: 4000, Hold: 7}
	d, err := b.prepare(nil, 0, time.Time{})
	if err != nil || d.next.Estimate != b.waiters.estimate || !d.next.Opening || d.exchange.grant.out != 0 {
		t.Errorf("%+v, %v", d.next, err)
	}
}

func TestAPauseIsForAll(t *testing.T) {
	b := lone(t)
	hold := noon.Add(20 * time.Second)
	d, err := b.prepare(fmt.Appendf(nil, `{"version":1,"window_ms":300000,"belief":{"hold":%d}}`, hold.UnixNano()), 1, noon)
	if err != nil {
		t.Fatal(err)
	}
	if b.took(d); !b.waiters.frozen.Equal(hold) {
		t.Errorf("all hold until %s, this one until %s", hold, b.waiters.frozen)
	}
}

// TestWhoGivesUpHoldsNobodyUp lets one leave the line that asked for more than
// there is.
func TestWhoGivesUpHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := lone(t)
		b.waiters.allowance.told = exchange{seq: 1, grant: grant{out: 2}, until: noon.Add(time.Minute)}
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- b.Take(ctx, Live, 3) }()
		synctest.Wait()
		go func() { second <- b.Take(t.Context(), Live, 2) }()
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
	})
}

// TestNewsThatComesDuringAVisitIsKept hears of refusals between the reading and
// the end of an exchange.
func TestNewsThatComesDuringAVisitIsKept(t *testing.T) {
	b := lone(t)
	exchange := func(during func()) *record {
		d, err := b.prepare([]byte(`{"version":1,"window_ms":300000}`), 1, noon)
		if err != nil {
			t.Fatal(err)
		}
		during()
		b.took(d)
		return d.next
	}
	b.Heard(Answer{Limit: 7000})
	if r := exchange(func() { b.Heard(Answer{Limit: 6000, Refused: true, RetryAfter: time.Minute}) }); r.Estimate.Header != 7000 {
		t.Errorf("%+v", r.Estimate)
	}
	if r := exchange(func() {}); r.Estimate.Header != 6000 || r.Estimate.Hold == 0 {
		t.Errorf("what came during an exchange was lost: %+v", r.Estimate)
	}
	if b.waiters.news != (Answer{}) || b.waiters.pressing {
		t.Errorf("what was told is still news: %+v", b.waiters.news)
	}
}

// TestWhatIsPresumedExplainsNoRefusal sees that a refusal in the first window is
// laid to what was sent, and not to what was assumed.
func TestWhatIsPresumedExplainsNoRefusal(t *testing.T) {
	r := opening(testRules)
	r.settle(testRules, at0, at0)
	if live, backfill := r.sums(); live+backfill != testLimit || r.presumed() != testLimit {
		t.Fatalf("%d of %d are presumed", r.presumed(), live+backfill)
	}
	r.exchange(testRules, call{worker: "w", seq: 1, used: [2]int{1000, 3000}, news: Answer{Refused: true}}, at0)
	if r.Estimate.Cut != 3800 {
		t.Errorf("cut to %d, want what 4000 requests tell", r.Estimate.Cut)
	}
}

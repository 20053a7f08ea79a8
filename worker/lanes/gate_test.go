package lanes

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

var backoff = Backoff{First: 2 * time.Second, Longest: 30 * time.Second}

// end is the end of a job.
type end struct {
	slot   *Slot
	result Result
}

// bad is that of a job that met a fault of scope.
func bad(g *gate, job string, scope fault.Scope) end {
	return end{&Slot{gate: g.number}, Result{Job: job, Health: Failing, Scope: scope, Reason: schemas.Reason{Code: "x"}}}
}

func good(g *gate) end { return end{&Slot{gate: g.number}, Result{Health: Healthy}} }

// TestTheGate: shut by faults of all, opened for one job, and then one by one.
func TestTheGate(t *testing.T) {
	now := noon
	g := newGate(4, backoff)
	ends := func(e end) bool { return g.ended(e.slot, e.result, now, 1) }
	for i := range 20 { // something still works
		ends(bad(g, fmt.Sprint(i), fault.Store))
		if i%3 == 2 {
			ends(good(g))
		}
	}
	for i := range 20 {
		if ends(bad(g, fmt.Sprint(i), fault.Destination)) {
			t.Fatal("a destination's faults shut the gate")
		}
	}
	if g.shut() || g.allowed != 4 {
		t.Fatalf("%d slots allowed", g.allowed)
	}
	inHand := []end{bad(g, "a", fault.Redox), bad(g, "b", fault.Redox), bad(g, "c", fault.Redox), bad(g, "d", fault.Redox), bad(g, "e", fault.Redox), good(g)}
	for i, tk := range inHand {
		if shut := ends(tk); shut != (i == 3) {
			t.Fatalf("shut %t by the %d-th job", shut, i+1)
		}
	}
	if !g.shut() || !g.until.Equal(now.Add(2*time.Second)) || g.reason.Code != "x" {
		t.Fatalf("%d slots allowed until %s", g.allowed, g.until)
	}
	// A probe that fails shuts it for longer each time.
	for _, wait := range []time.Duration{4, 8, 16, 30, 30} {
		g.tick(g.until.Add(-time.Millisecond))
		if !g.shut() {
			t.Fatal("opened too early")
		}
		now = g.until
		g.tick(now)
		if g.allowed != 1 || !g.probing() {
			t.Fatalf("%d slots after the wait", g.allowed)
		}
		if ends(inHand[4]) || !ends(bad(g, "p", fault.Redox)) || g.until.Sub(now) != wait*time.Second {
			t.Fatalf("shut for %s, want %ds", g.until.Sub(now), wait)
		}
	}
	now = g.until
	g.tick(now)
	for want := 2; want <= 5; want++ {
		ends(good(g))
		if g.allowed != min(want, 4) || g.probing() {
			t.Fatalf("%d slots allowed, want %d", g.allowed, want)
		}
	}
	// And a fresh start: the first wait is short again.
	for i := range 4 {
		ends(bad(g, fmt.Sprint(i), fault.Ledger))
	}
	if g.until.Sub(now) != 2*time.Second {
		t.Errorf("shut for %s", g.until.Sub(now))
	}
}

func TestTheGateObeysAWish(t *testing.T) {
	g := newGate(16, backoff)
	tk := bad(g, "a", fault.Redox)
	tk.result.After = time.Minute
	if !g.ended(tk.slot, tk.result, noon, 0) || !g.until.Equal(noon.Add(time.Minute)) {
		t.Errorf("shut until %s", g.until)
	}
}

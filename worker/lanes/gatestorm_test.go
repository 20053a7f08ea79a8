package lanes

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// TestRefusalsThatMayBeTheWorkers shut its gate where several lanes meet them, and
// no other refusal does.
func TestRefusalsThatMayBeTheWorkers(t *testing.T) {
	for _, c := range []struct {
		name  string
		own   bool
		lanes int
		code  func(i int) string
		shut  bool
	}{
		{"of two lanes", true, 2, func(int) string { return "forbidden" }, true},
		{"of one lane, which its breaker is for", true, 1, func(int) string { return "forbidden" }, false},
		{"of the jobs' own", false, 2, func(int) string { return "invalid" }, false},
		{"of several kinds", true, 2, func(i int) string { return fmt.Sprint("code-", i%2) }, false},
	} {
		g := newGate(4, backoff)
		for i := range refusalsOfAStorm {
			r := refusal(fmt.Sprint(i), c.code(i/2))
			r.Own = c.own
			slot := &Slot{Lane: liveLane(fmt.Sprint(i % c.lanes)), gate: g.number}
			if shut := g.ended(slot, r, noon, 1); shut != (c.shut && i == refusalsOfAStorm-1) {
				t.Fatalf("%s: shut %t by refusal %d", c.name, shut, i+1)
			}
		}
	}
}

// TestASuspiciousGate: what it lets through does not end for the refusal it was
// shut for, and shuts it again; an answer of any other kind opens it.
func TestASuspiciousGate(t *testing.T) {
	table := New(Settings{Worker: "w", Slots: 4, Concurrency: 4, Backoff: backoff})
	now := noon
	end := func(lane schemas.Lane, r Result) *Slot {
		t.Helper()
		table.Offered(Offer{Lanes: []Depth{{Lane: lane, Jobs: 9, Served: true}}}, now)
		slot := table.Arrived(lane, 1, now)
		if slot == nil {
			t.Fatal("no slot")
		}
		table.Ended(slot, r, now, 1)
		return slot
	}
	forbidden := func(job string) Result {
		r := refusal(job, "forbidden")
		r.Own = true
		return r
	}
	for i := range refusalsOfAStorm {
		end(liveLane(fmt.Sprint(i)), forbidden(fmt.Sprint(i)))
	}
	for _, wait := range []time.Duration{2, 4, 8} {
		reason, until, shut := table.GateShut()
		if !shut || reason.Code != "forbidden" || until.Sub(now) != wait*time.Second {
			t.Fatalf("shut %t, %+v, for %s", shut, reason, until.Sub(now))
		}
		now = until
		table.Tick(now)
		if slot := end(liveLane("probe"), forbidden("probe")); !slot.Probe || slot.Suspect != "forbidden" {
			t.Fatalf("%+v", slot)
		}
	}
	_, now, _ = table.GateShut()
	table.Tick(now)
	end(liveLane("probe"), refusal("probe", "invalid"))
	if _, _, shut := table.GateShut(); shut || table.shares.allowed != 2 {
		t.Errorf("shut %t, %d slots after another answer", shut, table.shares.allowed)
	}
	// Shut for something else, it has no suspicion.
	for i := range 8 {
		end(liveLane("a"), Result{Job: fmt.Sprint(i), Health: Failing, Scope: fault.Ledger})
		if _, until, shut := table.GateShut(); shut {
			now = until
			table.Tick(now)
			break
		}
	}
	if slot := end(liveLane("a"), accepted); !slot.Probe || slot.Suspect != "" {
		t.Errorf("%+v", slot)
	}
}

package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
)

// TestALateRequestCountsAgain: what left long after its permit may reach Redox in a
// window in which the permit is forgotten.
func TestALateRequestCountsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	settings := Budget{Requests: 100, Window: 30 * time.Second, Scope: "late"}
	requests, err := settings.open(t.Context(), w.queue, "a worker", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := requests.Budget.Take(t.Context(), budget.Live, 2); err != nil {
		t.Fatal(err)
	}
	requests.Sent(requests.travel / 2)
	requests.Sent(requests.travel)
	if err := requests.close(); err != nil {
		t.Fatal(err)
	}
	if s, known, err := settings.Look(t.Context(), w.queue); err != nil || !known || s.Live != 3 {
		t.Errorf("known %t, %+v, %v; want 2 requests, of which one counts again", known, s, err)
	}
}

// TestDeploymentsShareABudget: two prefixes behind one address count together in a
// bucket of neither, and apart without one.
func TestDeploymentsShareABudget(t *testing.T) {
	t.Parallel()
	url := devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()
	deployment := func(prefix string) *natsq.Conn {
		queue, err := Queue(NATS{URL: url, Prefix: prefix}, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = queue.Close() })
		layout := natsq.Layout{Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, AuditAge: time.Hour, LedgerAge: time.Hour, LedgerOpenAge: time.Hour, Duplicates: 10 * time.Minute}
		if _, err := queue.Setup(t.Context(), layout); err != nil {
			t.Fatal(err)
		}
		return queue
	}
	north, south := deployment("north"), deployment("south")
	const limit = 100
	settings := Budget{Requests: limit, Window: 30 * time.Second, Scope: "egress", Bucket: "EGRESS_BUDGETS"}
	if _, _, err := settings.Look(t.Context(), north); err == nil || !strings.Contains(err.Error(), "setup --budget-bucket EGRESS_BUDGETS") {
		t.Errorf("without the bucket: %v", err)
	}
	for i, want := range []string{"created", "unchanged"} {
		if change, err := []*natsq.Conn{north, south}[i].SetupSharedBudget(t.Context(), settings.Bucket, 1, false); err != nil || change.Did != want || change.Name != settings.Bucket {
			t.Errorf("%+v, %v; want it %s", change, err, want)
		}
	}
	spend := func(queue *natsq.Conn, run string) {
		requests, err := settings.open(t.Context(), queue, run, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 3 {
			if err := requests.Budget.Take(ctx, budget.Live, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := requests.close(); err != nil {
			t.Fatal(err)
		}
	}
	spend(north, "a worker of the north")
	spend(south, "a worker of the south")
	for _, queue := range []*natsq.Conn{north, south} {
		if s, known, err := settings.Look(t.Context(), queue); err != nil || !known || s.Live != 6 {
			t.Errorf("known %t, %+v, %v; want the 6 requests of both", known, s, err)
		}
		apart := settings
		apart.Bucket = ""
		if s, known, err := apart.Look(t.Context(), queue); err != nil || known {
			t.Errorf("a deployment's own count: known %t, %+v, %v", known, s, err)
		}
	}
}

func TestBudgetBucketsName(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "EGRESS_1": true, "a.b": false, "a b": false, "a>": false, strings.Repeat("a", 65): false} {
		if err := CheckBudgetBucket(name); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "budget-bucket") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

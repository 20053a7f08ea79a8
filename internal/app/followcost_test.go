package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/schemas"
)

// TestFollowingCostsDeliveriesLittle measures live jobs at twelve a second, half of what
// Redox takes, and at twenty-four, nearly all of it, without a follower and with one that
// has a backlog to search. It is long, and its times are worth something on a quiet machine
// only.
func TestFollowingCostsDeliveriesLittle(t *testing.T) {
	if !*longOutcomes {
		t.Skip("it takes four minutes: -outcomes.long")
	}
	for _, rate := range []int{12, 24} {
		t.Run(fmt.Sprint(rate, " a second"), func(t *testing.T) { followingCosts(t, rate) })
	}
}

func followingCosts(t *testing.T, rate int) {
	w := newWorld(t, "")
	w.settings.Budget = Budget{Requests: 250, Window: 10 * time.Second, Scope: "test", Reserve: 0.2}
	file := w.put("a.pdf", document(1000, "a"))
	w.worker()
	run := func(name string, jobs int) (p99 time.Duration) {
		published := map[string]time.Time{}
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for i := range jobs {
			<-tick.C
			id := fmt.Sprint(name, "-", i)
			published[id] = time.Now()
			w.publish(w.job(id, []schemas.File{file}, transfer(schemas.Embed)))
		}
		var all []time.Duration
		for id, at := range published {
			all = append(all, w.final(id).Data.Receipt.AcceptedAt.Sub(at))
		}
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	run("warm", 13*rate) // until the window before the budget's record is over
	without := run("without", 50*rate)
	for i := range 500 {
		w.accept(sent{id: fmt.Sprint("old-", i), destination: uuid.NewString(), at: time.Now().Add(-24 * time.Hour)})
	}
	settings := w.followSettings(func(s *FollowSettings) {
		s.Budget, s.Outcome.Share, s.Times = w.settings.Budget, 0.05, outcome.Times{Slice: time.Minute}
	})
	settings.Outcome.Environment = w.api.EnvironmentID("Development")
	w.follower(settings)
	devtest.Until(t, "it searches", patienceOfTests, func() bool { return w.countPlatform() > 0 })
	began := time.Now()
	with := run("with", 50*rate)
	searches := 0
	for _, r := range w.sim.Requests() {
		if strings.HasPrefix(r.Path, "/platform/") && r.Start.After(began) {
			searches++
		}
	}
	most := 0.05*25*time.Since(began).Seconds() + 2
	t.Logf("p99 without a follower %s, with one %s; %d searches in %s, at most %.0f", without, with, searches, time.Since(began).Round(time.Second), most)
	if float64(searches) > most || searches == 0 && rate < 20 {
		t.Errorf("%d searches, at most %.0f", searches, most)
	}
	if with > without*103/100+2*time.Millisecond {
		t.Errorf("the p99 of live jobs was %s, and is %s", without, with)
	}
}

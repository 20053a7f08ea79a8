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

// liveLoad is a worker with live jobs, and a follower that has a backlog to search.
type liveLoad struct {
	*world
	t        *testing.T
	file     schemas.File
	settings FollowSettings
	runs     int
}

// perSecond is the budget of these tests, as Redox's own is.
const perSecond = 25

func newLiveLoad(t *testing.T) *liveLoad {
	t.Helper()
	if !*longOutcomes {
		t.Skip("it takes minutes: -outcomes.long")
	}
	w := newWorld(t, "")
	w.settings.Budget = Budget{Requests: perSecond * 10, Window: 10 * time.Second, Scope: "test", Reserve: 0.2}
	b := &liveLoad{world: w, t: t, file: w.put("a.pdf", document(1000, "a"))}
	w.worker()
	for i := range 500 {
		w.accept(sent{id: fmt.Sprint("old-", i), destination: uuid.NewString(), at: time.Now().Add(-24 * time.Hour)})
	}
	b.settings = w.followSettings(func(s *FollowSettings) {
		s.Budget, s.Outcome.Share, s.Times = w.settings.Budget, 0.05, outcome.Times{Slice: time.Minute}
	})
	b.settings.Outcome.Environment = w.api.EnvironmentID("Development")
	b.deliver(12, 13*time.Second) // until the window before the budget's record is over
	return b
}

// deliver publishes jobs at a rate, and gives how long each took and when the last was accepted.
func (b *liveLoad) deliver(rate int, length time.Duration) (took []time.Duration, last time.Time) {
	b.t.Helper()
	b.runs++
	published := map[string]time.Time{}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range int(length.Seconds()) * rate {
		<-tick.C
		id := fmt.Sprint("run-", b.runs, "-", i)
		published[id] = time.Now()
		b.publish(b.job(id, []schemas.File{b.file}, transfer(schemas.Embed)))
	}
	for id, at := range published {
		accepted := b.final(id).Data.Receipt.AcceptedAt
		took = append(took, accepted.Sub(at))
		if accepted.After(last) {
			last = accepted
		}
	}
	return took, last
}

// follow starts a follower, and waits for its first search.
func (b *liveLoad) follow() (stop func()) {
	b.t.Helper()
	before := b.countPlatform()
	stop = b.follower(b.settings)
	devtest.Until(b.t, "it searches", patienceOfTests, func() bool { return b.countPlatform() > before })
	return stop
}

// searches are those since began, and the most that its share allows.
func (b *liveLoad) searches(began time.Time) (made int, most float64) {
	for _, r := range b.sim.Requests() {
		if strings.HasPrefix(r.Path, "/platform/") && r.Start.After(began) {
			made++
		}
	}
	return made, 0.05*perSecond*time.Since(began).Seconds() + 2
}

func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}

// TestFollowingDelaysNoJob compares live jobs at four fifths of what Redox takes, without a
// follower and beside one, in turns. The times are worth something on a quiet machine only.
func TestFollowingDelaysNoJob(t *testing.T) {
	b := newLiveLoad(t)
	var without, with []time.Duration
	for range 6 {
		took, _ := b.deliver(20, 20*time.Second)
		without = append(without, took...)
		stop := b.follow()
		began := time.Now()
		took, _ = b.deliver(20, 20*time.Second)
		with = append(with, took...)
		if made, most := b.searches(began); made == 0 || float64(made) > most {
			t.Errorf("%d searches, at most %.0f", made, most)
		}
		stop()
	}
	before, during := p99(without), p99(with)
	t.Logf("p99 of %d live jobs %s without a follower, of %d beside one %s (%.3f)", len(without), before, len(with), during, float64(during)/float64(before))
	if during > before*103/100 {
		t.Errorf("the p99 of live jobs was %s, and is %s", before, during)
	}
}

// TestFollowingTakesNoTurn: where live jobs wait for the whole of what Redox takes, as many
// are accepted beside a follower as without one.
func TestFollowingTakesNoTurn(t *testing.T) {
	b := newLiveLoad(t)
	accepted := func() float64 {
		began := time.Now()
		took, last := b.deliver(perSecond+5, 40*time.Second)
		return float64(len(took)) / last.Sub(began).Seconds()
	}
	without := accepted()
	b.follow()
	began := time.Now()
	with := accepted()
	made, most := b.searches(began)
	t.Logf("%.2f jobs a second without a follower, %.2f beside one (%.3f); %d searches, at most %.0f", without, with, with/without, made, most)
	if float64(made) > most {
		t.Errorf("%d searches, at most %.0f", made, most)
	}
	if with < 0.97*without {
		t.Errorf("%.2f jobs a second were accepted, and %.2f beside a follower", without, with)
	}
}

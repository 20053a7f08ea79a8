package faultlab

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// usage is what a run made of its allowance.
type usage struct {
	allowance
	// launched is before the fleet was started, opened when it was; from and to are
	// when backfill was fed.
	launched, opened, from, to time.Time
	// operations counts what was asked of NATS, perWorker a second and a worker.
	operations *atomic.Int64
	perWorker  float64
	// counted is the most that the simulator had in a window.
	counted int
	// live and backfill are when requests came; tokens and repeats are live.
	live, backfill []time.Time
	refused        int
	// ahead is by how many requests the first window was ever ahead of an even
	// pace; late ones are never ahead.
	ahead int
	// fullest is the most in any window; shares are the parts of backfill's share
	// that were used in one window after the other, which overlap.
	fullest     int
	shares      []float64
	worst, mean float64
	// settled is when a run has come to its steady state.
	settled time.Time
	// waits are from the publish of a job to its event, by phase; permits the
	// part of them from when the ledger has the file's address to when it says
	// that the message is sent: the wait for the budget is in it.
	waits, permits map[string]waits
	// loads are the machine's load averages at the end of each phase.
	loads map[string]string
	// slowest are the live jobs beside backfill, the slowest first.
	slowest []took
	// strange are requests that the books do not explain.
	strange int
}

// watch notes what the simulator counts.
func (u *usage) watch(ctx context.Context, sim *redoxsim.Server) {
	for pause(ctx, u.window/40) {
		u.counted = max(u.counted, sim.WindowUsed())
	}
}

// count reads from the books what came when.
func (u *usage) count(b *Books) {
	class := map[string]string{}
	for _, j := range b.Jobs {
		class[j.ID] = j.Class
	}
	come := func(job string, at time.Time) {
		if class[job] == backfill {
			u.backfill = append(u.backfill, at)
		} else {
			u.live = append(u.live, at)
		}
	}
	taken := 0
	for _, p := range b.Posts {
		come(p.Job, p.Started)
	}
	for _, f := range b.Uploads {
		come(f.Job, f.Started)
	}
	for _, r := range b.Requests {
		switch {
		case r.Status == 429:
			u.refused++
		case r.Kind == "token":
			u.live = append(u.live, r.Start)
		default:
			taken++
		}
	}
	u.strange = taken - len(b.Posts) - len(b.Uploads)
	slices.SortFunc(u.live, time.Time.Compare)
	slices.SortFunc(u.backfill, time.Time.Compare)
	all := slices.SortedFunc(slices.Values(slices.Concat(u.live, u.backfill)), time.Time.Compare)
	u.fullest = fullest(all, u.window)
	for i, at := range all {
		if since := at.Sub(u.launched); since < u.window {
			u.ahead = max(u.ahead, i+1-int(int64(u.requests)*int64(since)/int64(u.window)))
		}
	}
	u.share()
}

// fullest is the most of some times, in their order, that any window holds.
func fullest(times []time.Time, window time.Duration) (most int) {
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// share compares what backfill sent in each window with what it may: the limit
// less the reserve and what live sent. The first window of a scope does not
// count: nobody knows what was sent before it.
func (u *usage) share() {
	u.settled = u.from.Add(u.window / 10)
	if first := u.opened.Add(u.window); first.After(u.settled) {
		u.settled = first
	}
	u.worst = 1
	for begin := u.settled; !begin.Add(u.window).After(u.to); begin = begin.Add(u.window / 40) {
		may := float64(u.requests)*(1-kept) - float64(within(u.live, begin, u.window))
		used := float64(within(u.backfill, begin, u.window)) / may
		u.worst = min(u.worst, used)
		u.shares = append(u.shares, used)
		u.mean += used
	}
	u.mean /= float64(max(len(u.shares), 1))
}

// within counts the times of a window.
func within(times []time.Time, from time.Time, window time.Duration) int {
	at := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(times, t, time.Time.Compare)
		return i
	}
	return at(from.Add(window)) - at(from)
}

// ended notes the machine's load at the end of a phase.
func (u *usage) ended(phase string) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return // not Linux
	}
	u.loads[phase], _, _ = strings.Cut(string(text), " ")
}

// course is the shares of ten windows.
func (u *usage) course() string {
	var out []string
	for i := range min(len(u.shares), 10) {
		out = append(out, fmt.Sprintf("%.1f", 100*u.shares[i*len(u.shares)/10]))
	}
	return strings.Join(out, " ")
}

func (u *usage) tell(l *lab) {
	l.measure("limit", "%d in %s, %.0f %% of it for live", u.requests, u.window, 100*kept)
	l.measure("requests", "%d live, %d backfill; in the fullest window %d, as the simulator counts %d", len(u.live), len(u.backfill), u.fullest, u.counted)
	l.measure("refused with 429", "%d", u.refused)
	l.measure("most ahead of an even pace at the start", "%d", u.ahead)
	l.measure("share of backfill used", "%.2f %% in the mean of %d windows, least %.2f %%; one after the other %s", 100*u.mean, len(u.shares), 100*u.worst, u.course())
	for _, phase := range []string{before, beside, after, alone, backfill} {
		if u.waits[phase] == nil {
			continue
		}
		l.measure("accepted after publish, "+phase, "%s; load of the machine %s", u.waits[phase], cmp.Or(u.loads[phase], "?"))
		if phase != backfill {
			l.measure("of that, from file to message", "%s", u.permits[phase])
		}
	}
	l.measure("operations of NATS", "%.2f a second a worker", u.perWorker)
}

// judge: the short form asserts what does not depend on the machine's time.
func (u *usage) judge(t *testing.T) {
	if u.refused > 0 {
		t.Errorf("%d requests were refused", u.refused)
	}
	if u.counted > u.requests || u.fullest > u.requests || len(u.backfill) == 0 || len(u.waits[beside]) == 0 {
		t.Errorf("in the fullest window %d and %d of %d requests, %d of backfill, %d live jobs",
			u.fullest, u.counted, u.requests, len(u.backfill), len(u.waits[beside]))
	}
	// Nobody knows what was sent before the first record: requests start at an even
	// pace.
	if u.ahead > 0 {
		t.Errorf("at the start requests were ahead of an even pace by up to %d", u.ahead)
	}
	if u.strange != 0 {
		t.Errorf("%d requests that Redox took are no file, message or token of the books", u.strange)
	}
	if u.perWorker == 0 {
		t.Error("no operation of NATS was counted")
	}
	if !*long {
		return
	}
	// Two for each visit of the record, which are a 300th of the window apart, or
	// 200 ms; some more for live jobs.
	if most := 3 / min(max(u.window.Seconds()/300, 0.2), 1); u.perWorker > most {
		t.Errorf("%.2f operations of NATS a second a worker", u.perWorker)
	}
	if u.mean < 0.98 {
		t.Errorf("of what backfill may use %.2f %% was used", 100*u.mean)
	}
	for _, q := range []float64{0.5, 0.99} {
		if most, with := u.waits[alone].at(q)*6/5, u.waits[beside].at(q); with > most {
			t.Errorf("beside backfill live jobs took %s at quantile %v, alone %s", with, q, u.waits[alone].at(q))
		}
	}
}

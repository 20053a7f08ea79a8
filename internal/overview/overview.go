package overview

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/status"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Overview is how a deployment stands at one moment.
type Overview struct {
	At time.Time `json:"at"`
	// Workers are those that are alive; NoFleet says why that is not known.
	Workers []diagnosis.Worker `json:"workers"`
	NoFleet string             `json:"no_fleet,omitempty"`
	// Paused is the pause of all lanes; nil is none.
	Paused *worker.Pause `json:"paused,omitempty"`
	Lanes  []LaneLine    `json:"lanes"`
	// Scheduled are the jobs that wait for their next attempt.
	Scheduled   uint64             `json:"scheduled"`
	DeadLetters uint64             `json:"dead_letters"`
	Dead        []deadletter.Group `json:"dead"`
	// Budget is nil where it is off or not known.
	Budget *Budget         `json:"budget,omitempty"`
	Runs   []status.Status `json:"runs"`
}

// Budget is the use of Redox's limit of requests.
type Budget struct {
	// Used are the requests of the window, Limit what may be in it.
	Used  int `json:"used"`
	Limit int `json:"limit"`
	// PerSecond and AllowedPerSecond are rates over the window.
	PerSecond        float64 `json:"per_second"`
	AllowedPerSecond float64 `json:"allowed_per_second"`
	HeldSeconds      float64 `json:"held_seconds"`
}

// LaneLine is a lane in an Overview.
type LaneLine struct {
	Class       schemas.Class `json:"class"`
	Destination string        `json:"destination"`
	Waiting     uint64        `json:"waiting"`
	InHand      uint64        `json:"in_hand"`
	// PerMinute are the jobs that ended in the last minute.
	PerMinute int `json:"per_minute"`
	// OldestSeconds is the age of the oldest job; -1 is not known.
	OldestSeconds float64 `json:"oldest_seconds"`
	// EmptySeconds is how long the lane takes at this rate; -1 is for ever, or not known.
	EmptySeconds float64           `json:"empty_seconds"`
	Why          []diagnosis.Cause `json:"why,omitempty"`
}

const (
	// rateWindow is how far back the rate of a lane looks.
	rateWindow = time.Minute
	// runsEvery is how often runs are read.
	runsEvery = 10 * time.Second
	// lettersPerSecond bounds how often the dead letters are read.
	lettersPerSecond = 2000
	// agesOf is for how many lanes the oldest job is asked for.
	agesOf = 20
)

// Viewer looks at a deployment again and again. It is for one goroutine.
type Viewer struct {
	Queue *natsq.Conn
	// Budget reads the use of the request budget; nil is none.
	Budget func(context.Context) (*Budget, error)

	ends []natsq.End
	next uint64

	dead     *deadletter.Listing
	stock    natsq.Stock
	deadRead time.Time

	runs     []status.Status
	runsRead time.Time
}

// Look gives how the deployment stands.
func (v *Viewer) Look(ctx context.Context, now time.Time) (Overview, error) {
	out := Overview{At: now.UTC(), Workers: []diagnosis.Worker{}, Lanes: []LaneLine{}}
	seen, err := LookAtLanes(ctx, v.Queue, now)
	if err != nil {
		return out, err
	}
	if seen.Fleet != nil {
		out.Workers = append(out.Workers, seen.Fleet.Workers...)
		slices.SortFunc(out.Workers, func(a, b diagnosis.Worker) int { return strings.Compare(a.Name, b.Name) })
	} else {
		out.NoFleet = seen.NoFleet.Error()
	}
	out.Paused = seen.Paused
	rates, err := v.rates(ctx, now)
	if err != nil {
		return out, err
	}
	if out.Lanes, err = v.lanes(ctx, seen.Lanes, rates, now); err != nil {
		return out, err
	}
	if err := v.letters(ctx, &out, now); err != nil {
		return out, err
	}
	if v.Budget != nil {
		if out.Budget, err = v.Budget(ctx); err != nil {
			return out, err
		}
	}
	out.Runs, err = v.openRuns(ctx, now)
	return out, err
}

// rates counts the ends of the last minute. Each look reads only what is new.
func (v *Viewer) rates(ctx context.Context, now time.Time) (map[schemas.Lane]int, error) {
	ends, err := v.Queue.Ends(ctx, v.next, now.Add(-rateWindow))
	if err != nil {
		return nil, err
	}
	v.ends = append(v.ends, ends...)
	if n := len(v.ends); n > 0 {
		v.next = v.ends[n-1].Sequence + 1
	}
	rates := map[schemas.Lane]int{}
	v.ends = slices.DeleteFunc(v.ends, func(e natsq.End) bool { return now.Sub(e.At) > rateWindow })
	for _, e := range v.ends {
		rates[e.Lane]++
	}
	return rates, nil
}

// lanes are those that hold jobs or are held, the fullest first.
func (v *Viewer) lanes(ctx context.Context, seen []Lane, rates map[schemas.Lane]int, now time.Time) ([]LaneLine, error) {
	slices.SortStableFunc(seen, func(a, b Lane) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.InHand, a.Waiting+a.InHand), cmp.Compare(len(b.Why.Causes), len(a.Why.Causes)))
	})
	lines := []LaneLine{}
	for i, l := range seen {
		line := LaneLine{
			Class: l.State.Lane.Class, Destination: l.State.Lane.Destination, Waiting: l.Waiting, InHand: l.InHand,
			PerMinute: rates[l.State.Lane], OldestSeconds: -1, EmptySeconds: -1, Why: l.Why.Causes,
		}
		held := l.Waiting + l.InHand
		if !stands(l.Why) {
			line.EmptySeconds = untilEmpty(held, line.PerMinute)
		}
		if held > 0 && i < agesOf {
			stored, there, err := v.Queue.Oldest(ctx, l.State.Lane)
			if err != nil {
				return nil, err
			}
			if there {
				line.OldestSeconds = max(now.Sub(stored).Seconds(), 0)
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// untilEmpty is how many seconds a lane takes at its rate; -1 is for ever, or not known.
func untilEmpty(held uint64, perMinute int) float64 {
	if held == 0 || perMinute == 0 {
		return -1
	}
	return float64(held) / (float64(perMinute) / rateWindow.Seconds())
}

// stands reports whether no job of a lane is taken now, so that its rate is one of before.
func stands(why diagnosis.Answer) bool {
	return slices.ContainsFunc(why.Causes, func(c diagnosis.Cause) bool {
		return c.Lane() != "" && c.State != diagnosis.Probing
	})
}

// letters counts the dead letters by code. They are read again only where there are
// others, and the more there are the more rarely.
func (v *Viewer) letters(ctx context.Context, out *Overview, now time.Time) error {
	stock, schedules, err := v.Queue.Stocks(ctx)
	if err != nil {
		return err
	}
	out.DeadLetters, out.Scheduled = stock.Messages, schedules.Messages
	pause := time.Duration(stock.Messages/lettersPerSecond) * time.Second
	if v.dead == nil || stock != v.stock && now.Sub(v.deadRead) >= pause {
		listing := &deadletter.Listing{Keep: 1}
		if err := v.Queue.Letters(ctx, func(l natsq.Letter) bool { listing.Add(l); return true }); err != nil {
			return err
		}
		v.dead, v.stock, v.deadRead = listing, stock, now
	}
	out.Dead = v.dead.Groups()
	return nil
}

// openRuns are the backfill runs that have not ended.
func (v *Viewer) openRuns(ctx context.Context, now time.Time) ([]status.Status, error) {
	if v.runs != nil && now.Sub(v.runsRead) < runsEvery {
		return v.runs, nil
	}
	store, err := v.Queue.Runs(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := store.Keys(ctx, backfill.RunPrefix+"*")
	if err != nil {
		return nil, err
	}
	open := []status.Status{}
	for _, key := range keys {
		run, err := status.Read(ctx, store, v.Queue.RunEvents(), strings.TrimPrefix(key, backfill.RunPrefix), false)
		if errors.Is(err, backfill.ErrForgotten) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if run.Progress.InFlight+run.Progress.Unfed > 0 {
			open = append(open, run)
		}
	}
	v.runs, v.runsRead = open, now
	return open, nil
}

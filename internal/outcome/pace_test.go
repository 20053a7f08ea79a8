package outcome

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/redoxclient"
)

// budgetOf25 allows 25 requests a second, and may be pressed.
type budgetOf25 struct{ pressed bool }

func (b *budgetOf25) Take(context.Context) error                            { return nil }
func (b *budgetOf25) Sent(time.Duration)                                    {}
func (b *budgetOf25) Heard(redoxclient.LimitSaid) (none redoxclient.Ruling) { return none }
func (b *budgetOf25) Rate() float64                                         { return 25 }
func (b *budgetOf25) Pressed(context.Context) bool                          { return b.pressed }

// A follower that always has something to ask makes its share of the requests, evenly,
// and saves nothing up while it is idle.
func TestThePaceKeepsToItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(&budgetOf25{}, 0.05, time.Now)
		time.Sleep(time.Hour)
		for _, while := range []time.Duration{time.Second, 5 * time.Minute} {
			before, end := p.Made(), time.Now().Add(while)
			for time.Now().Before(end) {
				if err := p.Take(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if made, most := p.Made()-before, int(0.05*25*while.Seconds())+2; made > most || made < most-3 {
				t.Errorf("in %s it made %d requests, want %d at most", while, made, most)
			}
		}
	})
}

// The full sweep makes one request a minute while others have work for what is left.
func TestTheFullSweepGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := &budgetOf25{pressed: true}
		p := Behind{Pace: NewPace(others, 0.05, time.Now), Every: time.Second, Patience: time.Minute}
		begin := time.Now()
		for range 10 {
			if err := p.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < 9*time.Minute || took > 11*time.Minute {
			t.Errorf("10 requests took %s", took)
		}
		others.pressed = false
		begin = time.Now()
		for range 10 {
			if err := p.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("without others 10 requests took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		others.pressed = true
		if err := p.Take(ctx); err == nil {
			t.Error("it waits although its caller has ended")
		}
	})
}

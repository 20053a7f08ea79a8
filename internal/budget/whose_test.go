package budget

import (
	"log/slog"
	"testing"
	"time"
)

// TestWhoseLimit is the whole judgment of refusals in a row.
func TestWhoseLimit(t *testing.T) {
	const window = 5 * time.Minute
	address := func(wait time.Duration) Ruling { return Ruling{Wait: wait} }
	destination := func(wait time.Duration) Ruling { return Ruling{OfDestination: true, Wait: wait} }
	type refusal struct {
		after time.Duration // since the one before
		to    string
		limit int
		asks  time.Duration
		want  Ruling
	}
	for name, row := range map[string][]refusal{
		"one destination":           {{to: "a", want: destination(10 * time.Second)}},
		"it asks for a time":        {{to: "a", asks: time.Minute, want: destination(time.Minute)}},
		"it asks for a day":         {{to: "a", asks: 24 * time.Hour, want: destination(15 * time.Minute)}},
		"again and again":           {{to: "a", want: destination(10 * time.Second)}, {time.Second, "a", 0, 0, destination(10 * time.Second)}, {time.Hour, "a", 0, time.Second, destination(time.Second)}},
		"the limit is stated":       {{to: "a", limit: 7500, want: address(0)}},
		"stated, with a day":        {{to: "a", limit: 7500, asks: 24 * time.Hour, want: address(15 * time.Minute)}},
		"a token or a file":         {{asks: time.Minute, want: address(time.Minute)}},
		"a token asks for a day":    {{asks: 24 * time.Hour, want: address(15 * time.Minute)}},
		"a file, then a message":    {{want: address(0)}, {time.Second, "a", 0, 0, destination(10 * time.Second)}},
		"two within a window":       {{to: "a", want: destination(10 * time.Second)}, {window - 1, "b", 0, 0, address(0)}},
		"two a window apart":        {{to: "a", want: destination(10 * time.Second)}, {window, "b", 0, 0, destination(10 * time.Second)}},
		"the first again":           {{to: "a", want: destination(10 * time.Second)}, {1, "b", 0, 0, address(0)}, {1, "a", 0, time.Second, address(time.Second)}},
		"the second again":          {{to: "a", want: destination(10 * time.Second)}, {1, "b", 0, 0, address(0)}, {1, "b", 0, 0, address(0)}},
		"only the second goes on":   {{to: "a", want: destination(10 * time.Second)}, {1, "b", 0, 0, address(0)}, {window, "b", 0, 0, destination(10 * time.Second)}},
		"stated to one, then other": {{to: "a", limit: 7500, want: address(0)}, {1, "b", 0, 0, address(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			r, now := refusals{window: window}, time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
			for i, one := range row {
				now = now.Add(one.after)
				if got := r.judge(Answer{Refused: true, Destination: one.to, Limit: one.limit, RetryAfter: one.asks}, now); got != one.want {
					t.Errorf("refusal %d: %+v, want %+v", i+1, got, one.want)
				}
			}
		})
	}
}

// A destination's refusals leave the budget as it is, for whoever else sends;
// one that is the address's holds all. A budget that is off rules all the same.
func TestADestinationsRefusalsHoldNobodyElse(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	open := func(requests int) *Budget {
		b, err := New(Settings{Requests: requests, Window: 5 * time.Minute, Worker: "w"}, nil, func() time.Time { return now },
			func() float64 { return 0.5 }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open(7500)
	for range 50 {
		if r := b.Heard(Answer{Refused: true, Destination: "a", RetryAfter: 24 * time.Hour}); !r.OfDestination || r.Wait != 15*time.Minute {
			t.Fatalf("got %+v", r)
		}
	}
	if b.waiters.news.Refused || b.waiters.pressing || !b.waiters.frozen.IsZero() {
		t.Errorf("the budget took it for the address's: %+v, frozen until %s", b.waiters.news, b.waiters.frozen)
	}
	if r := b.Heard(Answer{Refused: true, RetryAfter: 24 * time.Hour}); r.OfDestination || !b.waiters.news.Refused {
		t.Errorf("a token's refusal: %+v, %+v", r, b.waiters.news)
	}
	if held := b.waiters.frozen.Sub(now); held != 15*time.Minute {
		t.Errorf("held for %s", held)
	}
	if r := open(0).Heard(Answer{Refused: true, Destination: "a"}); !r.OfDestination {
		t.Errorf("a budget that is off: %+v", r)
	}
}

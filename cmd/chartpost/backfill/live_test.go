package backfill

import (
	"testing"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/natsq"
)

// TestLive: what a person and what a log are told.
func TestLive(t *testing.T) {
	tally := backfill.Tally{Lines: 1000, Unfed: 700, InFlight: 100, Counts: backfill.Counts{
		backfill.OutcomeAccepted: 190, backfill.OutcomeFailed: 7, backfill.OutcomeUnknown: 3, backfill.OutcomePending: 800,
	}}
	show := func(s *app.Spending, troubles ...natsq.Trouble) *live {
		l := &live{tally: func() backfill.Tally { return tally }, troubles: func() []natsq.Trouble { return troubles }}
		l.spending.Store(s)
		l.pace = func() float64 { return 10 }
		return l
	}
	const speed = "10.0/s, 1m20s to go"
	for name, c := range map[string]struct{ got, want string }{
		"log": {show(nil).full(), "200 of 1000 done: 190 accepted, 0 duplicate, 7 failed, 3 unknown, 0 cancelled; 100 in flight, 700 not fed; " + speed},
		"terminal": {show(&app.Spending{Made: 19.96, Allowed: 25}).brief(), "200 of 1000 done: 190 accepted, 7 failed, 3 unknown; 100 in flight; " +
			speed + "; 20.0 of 25.0 requests/s"},
		"refused":           {show(nil, natsq.Trouble{Text: "publishing jobs: full"}).brief(), "200 of 1000 done: 190 accepted, 7 failed, 3 unknown; 100 in flight; " + speed + "; publishing jobs: full"},
		"a narrow terminal": {fit(show(nil).brief(), 40), "200 of 1000 done: 190 accepted, 7 fa..."},
		"a wide one":        {fit("as it is", 9), "as it is"},
		"the edge":          {fit("as it is", 8), "as i..."},
		"none":              {fit("as it is", 1), "..."},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

package lane

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
)

// A new world's budget says what is assumed and what is spent apart.
func TestLaneBudgetSaysWhatIsAssumed(t *testing.T) {
	c := budgetCmd{Budget: app.Budget{Requests: 7500, Window: 5 * time.Minute, Scope: "default", Reserve: 0.2}}
	var out bytes.Buffer
	s := app.Spending{Allowed: 25, Effective: 7500, Limit: 7500, Live: 2, Assumed: 3250, AssumedFor: 130 * time.Second}
	if err := c.print(cli.Streams{Out: &out}, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"used     2 ", "2 live, 0 backfill", "assumed  3250", "over in 2m10s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	out.Reset()
	s.Assumed = 0
	if err := c.print(cli.Streams{Out: &out}, s); err != nil || strings.Contains(out.String(), "assumed") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

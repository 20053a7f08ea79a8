package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const rulesOfTests = `groups:
  - name: test
    rules:
      - alert: Failing
        expr: sum by (kind) (increase(things_total{result="error"}[10m])) > 0
      - alert: Down
        expr: up == 0
        for: 5m
`

const scrapeOfTests = "# TYPE things_total counter\nthings_total{result=\"error\",kind=\"a\"} "

// TestTrial: a counter that grows fires at once, a target that is down when that
// lasts, and neither when all is well.
func TestTrial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(rulesOfTests), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for name, c := range map[string]struct {
		after string
		until time.Duration
		want  []string
	}{
		"well":          {scrapeOfTests + "1\n", time.Hour, nil},
		"growing":       {scrapeOfTests + "2\n", time.Hour, []string{"Failing"}},
		"down":          {"", time.Hour, []string{"Down"}},
		"down, shortly": {"", 33 * time.Minute, nil},
	} {
		out, err := try(Input{Rules: path, Until: c.until, Scrapes: []Scrape{{start, scrapeOfTests + "1\n"}, {start.Add(30 * time.Minute), c.after}}})
		if err != nil {
			t.Fatal(err)
		}
		var fired []string
		for _, a := range out.Fired {
			fired = append(fired, a.Name)
		}
		if !slices.Equal(fired, c.want) {
			t.Errorf("%s: %v, want %v", name, fired, c.want)
		}
		if len(out.Selectors) != 2 || out.Selectors[0].Metric != "things_total" || !slices.Equal(out.Selectors[0].Labels, []string{"kind", "result"}) {
			t.Errorf("%s: %+v", name, out.Selectors)
		}
	}
}

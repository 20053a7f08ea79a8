package app

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/chartpost/chartpost/internal/devstack"
)

// The rules and the dashboard that are tried here.
const (
	alertRules    = "../../deploy/prometheus/alerts.yml"
	alertProgram  = "deploy/prometheus/check"
	dashboardFile = "../../deploy/grafana/chartpost.json"
	runbook       = "../../docs/operating.md"
)

// trial is what the program of deploy/prometheus/check takes.
type trial struct {
	Rules   string        `json:"rules"`
	Scrapes []scraped     `json:"scrapes"`
	Until   time.Duration `json:"until"`
	Queries []string      `json:"queries,omitempty"`
}

type scraped struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// tried is what it says.
type tried struct {
	Fired []struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"fired"`
	Selectors []struct {
		Expression string   `json:"expression"`
		Metric     string   `json:"metric"`
		Labels     []string `json:"labels"`
	} `json:"selectors"`
}

// buildCheck builds the program, which has Prometheus' own engine in it.
func buildCheck(t *testing.T) string {
	t.Helper()
	program, err := devstack.Build(t.Context(), alertProgram)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func check(t *testing.T, program string, in trial) (out tried) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Stdin = bytes.NewReader(body)
	var said bytes.Buffer
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// exported are the metrics that workers really exported, and their labels.
type exported struct {
	mu     sync.Mutex
	labels map[string]map[string]bool
}

func (e *exported) add(families map[string]*dto.MetricFamily) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, family := range families {
		names := []string{name}
		if kind := family.GetType(); kind == dto.MetricType_HISTOGRAM || kind == dto.MetricType_SUMMARY {
			names = []string{name + "_sum", name + "_count", name + "_bucket"}
		}
		for _, name := range names {
			if e.labels[name] == nil {
				// What Prometheus adds, and what a histogram's buckets have.
				e.labels[name] = map[string]bool{"job": true, "instance": true, "le": strings.HasSuffix(name, "_bucket")}
			}
			for _, m := range family.Metric {
				for _, l := range m.Label {
					e.labels[name][l.GetName()] = true
				}
			}
		}
	}
}

// TestAlerts causes the condition of every alert, and sees it fire, and no other
// but those that say the same: Prometheus' own engine runs the rules over what
// workers answered before and while the condition stood.
func TestAlerts(t *testing.T) {
	t.Parallel()
	program := buildCheck(t)
	real := &exported{labels: map[string]map[string]bool{"up": {"job": true, "instance": true}}}
	var mu sync.Mutex
	seen := map[string]bool{}
	t.Run("conditions", func(t *testing.T) {
		for name, c := range conditions {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, cut := c.makeWorld(t)
				w.settings.HTTP.Addr, w.settings.Delivery.Grace = "127.0.0.1:0", time.Second
				before, after := c.cause(w, cut)
				now := time.Now()
				in := trial{Rules: alertRules, Until: wellBefore + max(c.lasts, time.Hour), Scrapes: []scraped{{now.Add(-wellBefore), before.text}, {now, after.text}}}
				real.add(before.families)
				real.add(after.families)
				fired := map[string]bool{}
				for _, a := range check(t, program, in).Fired {
					fired[a.Name] = true
					if !slices.Contains(c.fires, a.Name) && !slices.Contains(c.also, a.Name) {
						t.Errorf("%s fires, %v", a.Name, a.Labels)
					}
				}
				for _, want := range c.fires {
					if !fired[want] {
						t.Errorf("%s does not fire\n%s", want, after.text)
					}
					mu.Lock()
					seen[want] = true
					mu.Unlock()
				}
			})
		}
	})
	now := time.Now()
	rules := check(t, program, trial{Rules: alertRules, Scrapes: []scraped{{At: now}}})
	namesExist(t, real, rules)
	namesExist(t, real, check(t, program, trial{Queries: panelQueries(t)}))
	for _, name := range alertNames(t) {
		if !seen[name] {
			t.Errorf("no condition makes %s fire", name)
		}
	}
}

// wellBefore is how long all was well before a condition.
const wellBefore = time.Hour

// namesExist holds expressions to metrics and labels that workers export.
func namesExist(t *testing.T, real *exported, in tried) {
	t.Helper()
	if len(in.Selectors) == 0 {
		t.Error("no expression names a metric")
	}
	for _, s := range in.Selectors {
		labels, ok := real.labels[s.Metric]
		if !ok {
			t.Errorf("%q: no worker exported %q", s.Expression, s.Metric)
			continue
		}
		for _, l := range s.Labels {
			if !labels[l] {
				t.Errorf("%q: %s has no label %s, it has %v", s.Expression, s.Metric, l, slices.Sorted(maps.Keys(labels)))
			}
		}
	}
}

// panelQueries are the dashboard's expressions.
func panelQueries(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board any
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	var queries []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if expr, ok := v["expr"].(string); ok {
				queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(expr))
			}
			for _, one := range v {
				walk(one)
			}
		case []any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	walk(board)
	if len(queries) < 20 {
		t.Errorf("the dashboard has only %d expressions", len(queries))
	}
	return queries
}

func alertNames(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("there are no alerts")
	}
	return names
}

// TestEveryAlertHasARunbookEntry, and every entry an alert.
func TestEveryAlertHasARunbookEntry(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## Alerts\n")
	if !ok {
		t.Fatal("the runbook has no section of alerts")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var entries []string
	for line := range strings.Lines(section) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			entries = append(entries, name)
		}
	}
	alerts := alertNames(t)
	for _, name := range alerts {
		if !slices.Contains(entries, name) {
			t.Errorf("the runbook has no entry of %s", name)
		}
	}
	for _, name := range entries {
		if !slices.Contains(alerts, name) {
			t.Errorf("the runbook has an entry of %s, which is no alert", name)
		}
	}
}

// TestEveryAlertLinksItsRunbookEntry: whoever is woken finds the entry by one click.
func TestEveryAlertLinksItsRunbookEntry(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range alertNames(t) {
		_, rule, _ := strings.Cut(string(data), "- alert: "+name+"\n")
		rule, _, _ = strings.Cut(rule, "- alert: ")
		if want := "\n          runbook_url: https://github.com/chartpost/chartpost/blob/main/docs/operating.md#" + strings.ToLower(name) + "\n"; !strings.Contains(rule+"\n", want) {
			t.Errorf("%s does not say%s", name, want)
		}
	}
}

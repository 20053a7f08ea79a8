package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
)

// step is the interval of scrapes and of evaluations.
const step = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// parse is Prometheus' own parser, without anything experimental.
var parse = parser.NewParser(parser.Options{})

// read gives the rules of a file.
func read(path string) ([]rulefmt.Rule, error) {
	groups, faults := rulefmt.ParseFile(path, false, model.UTF8Validation, parse, quiet)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		return nil, errors.New("the file has no rules")
	}
	return all, nil
}

// try stores the scrapes and evaluates the rules as time passes.
func try(in Input) (Output, error) {
	if len(in.Scrapes) == 0 {
		return Output{}, errors.New("no scrapes")
	}
	all, err := read(in.Rules)
	if err != nil {
		return Output{}, err
	}
	dir, err := os.MkdirTemp("", "alerts-")
	if err != nil {
		return Output{}, err
	}
	defer os.RemoveAll(dir)
	options := tsdb.DefaultOptions()
	options.MinBlockDuration, options.MaxBlockDuration = (24 * time.Hour).Milliseconds(), (24 * time.Hour).Milliseconds()
	db, err := tsdb.Open(dir, quiet, nil, options, nil)
	if err != nil {
		return Output{}, err
	}
	defer db.Close()
	t := &trial{in: in, db: db, fired: map[string]Alert{}}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: quiet, MaxSamples: 10_000_000, Timeout: time.Minute, Parser: parse,
		NoStepSubqueryIntervalFn: func(int64) int64 { return step.Milliseconds() },
	})
	query := rules.EngineQueryFunc(engine, db)
	alerts, err := alerting(all)
	if err != nil {
		return Output{}, err
	}
	if err := t.run(alerts, query); err != nil {
		return Output{}, err
	}
	return t.output(all)
}

func alerting(all []rulefmt.Rule) ([]*rules.AlertingRule, error) {
	var out []*rules.AlertingRule
	for _, r := range all {
		if r.Alert == "" {
			return nil, fmt.Errorf("%s is no alert", r.Record)
		}
		expression, err := parse.ParseExpr(r.Expr)
		if err != nil {
			return nil, err
		}
		out = append(out, rules.NewAlertingRule(r.Alert, expression, time.Duration(r.For), time.Duration(r.KeepFiringFor),
			labels.FromMap(r.Labels), labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, quiet))
	}
	return out, nil
}

// trial is one run of the rules.
type trial struct {
	in    Input
	db    *tsdb.DB
	last  map[string]labels.Labels
	fired map[string]Alert
}

func (t *trial) run(alerts []*rules.AlertingRule, query rules.QueryFunc) error {
	start := t.in.Scrapes[0].At
	next := 0
	var current map[string]sample
	down := false
	for at := start; !at.After(start.Add(t.in.Until)); at = at.Add(step) {
		for next < len(t.in.Scrapes) && !t.in.Scrapes[next].At.After(at) {
			var err error
			if current, err = samples(t.in.Scrapes[next].Text); err != nil {
				return err
			}
			down = t.in.Scrapes[next].Text == ""
			next++
		}
		if err := t.store(current, down, at); err != nil {
			return err
		}
		for _, rule := range alerts {
			if _, err := rule.Eval(context.Background(), 0, at, query, &url.URL{}, 0); err != nil {
				return fmt.Errorf("%s: %w", rule.Name(), err)
			}
			t.note(rule)
		}
	}
	return nil
}

// note keeps the alerts of a rule that fire now.
func (t *trial) note(rule *rules.AlertingRule) {
	for _, a := range rule.ActiveAlerts() {
		if a.State == rules.StateFiring {
			t.fired[a.Labels.String()] = Alert{rule.Name(), a.Labels.Map(), a.Annotations.Map()}
		}
	}
}

func (t *trial) output(all []rulefmt.Rule) (Output, error) {
	var out Output
	for _, key := range sorted(t.fired) {
		out.Fired = append(out.Fired, t.fired[key])
	}
	var expressions []string
	for _, r := range all {
		expressions = append(expressions, r.Expr)
	}
	var err error
	out.Selectors, err = selectors(expressions)
	return out, err
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// sample is one value of a scrape.
type sample struct {
	labels labels.Labels
	value  float64
}

// target are the labels that Prometheus adds.
var target = map[string]string{"job": "chartpost", "instance": "worker:8080"}

// store writes what the target answers at a time. As Prometheus does, it marks
// what is gone as stale, and says by up whether there was an answer.
func (t *trial) store(current map[string]sample, down bool, at time.Time) error {
	app := t.db.Appender(context.Background())
	ms := at.UnixMilli()
	seen := map[string]labels.Labels{}
	for key, s := range current {
		seen[key] = s.labels
		if _, err := app.Append(0, s.labels, ms, s.value); err != nil {
			return err
		}
	}
	for key, was := range t.last {
		if _, still := seen[key]; !still {
			if _, err := app.Append(0, was, ms, math.Float64frombits(value.StaleNaN)); err != nil {
				return err
			}
		}
	}
	t.last = seen
	up := 1.0
	if down {
		up = 0
	}
	if _, err := app.Append(0, labelsOf("up", nil), ms, up); err != nil {
		return err
	}
	return app.Commit()
}

func labelsOf(name string, of map[string]string) labels.Labels {
	all := map[string]string{labels.MetricName: name}
	for k, v := range target {
		all[k] = v
	}
	for k, v := range of {
		all[k] = v
	}
	return labels.FromMap(all)
}

// samples reads a scrape.
func samples(text string) (map[string]sample, error) {
	textParser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := textParser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	out := map[string]sample{}
	add := func(name string, of map[string]string, v float64) {
		l := labelsOf(name, of)
		out[l.String()] = sample{l, v}
	}
	for name, family := range families {
		for _, m := range family.Metric {
			of := map[string]string{}
			for _, pair := range m.Label {
				of[pair.GetName()] = pair.GetValue()
			}
			flatten(name, family.GetType(), m, of, add)
		}
	}
	return out, nil
}

func flatten(name string, kind dto.MetricType, m *dto.Metric, of map[string]string, add func(string, map[string]string, float64)) {
	with := func(key, v string) map[string]string {
		more := map[string]string{key: v}
		for k, v := range of {
			more[k] = v
		}
		return more
	}
	switch kind {
	case dto.MetricType_COUNTER:
		add(name, of, m.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		add(name, of, m.GetGauge().GetValue())
	case dto.MetricType_SUMMARY:
		add(name+"_sum", of, m.GetSummary().GetSampleSum())
		add(name+"_count", of, float64(m.GetSummary().GetSampleCount()))
	case dto.MetricType_HISTOGRAM:
		add(name+"_sum", of, m.GetHistogram().GetSampleSum())
		add(name+"_count", of, float64(m.GetHistogram().GetSampleCount()))
		for _, b := range m.GetHistogram().Bucket {
			add(name+"_bucket", with("le", fmt.Sprint(b.GetUpperBound())), float64(b.GetCumulativeCount()))
		}
	default:
		add(name, of, m.GetUntyped().GetValue())
	}
}

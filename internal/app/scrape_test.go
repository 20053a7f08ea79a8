package app

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// address is where the world's newest worker answers.
func (w *world) address() string {
	w.t.Helper()
	found := regexp.MustCompile(`"http":"([^"]+)"`).FindAllStringSubmatch(w.log.String(), -1)
	if found == nil {
		w.t.Fatal("the log does not say where the worker answers")
	}
	return found[len(found)-1][1]
}

// scrape reads a worker's metrics as Prometheus does, again where the worker's
// loop had no time to answer: then all that it knows is missing.
func (w *world) scrape() (m metrics) {
	w.t.Helper()
	devtest.Until(w.t, "the worker tells of itself", patienceOfTests, func() bool {
		var err error
		if m, err = w.tryScrape(w.address()); err != nil {
			w.t.Log(err)
		}
		return err == nil && m.families["chartpost_worker_slots"] != nil
	})
	return m
}

func (w *world) tryScrape(address string) (metrics, error) {
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return metrics{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		return metrics{}, fmt.Errorf("%d %w: %s", response.StatusCode, err, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	return metrics{w.t, string(text), families}, err
}

// metrics are those of one scrape.
type metrics struct {
	t        testing.TB
	text     string
	families map[string]*dto.MetricFamily
}

// sum adds up the metrics of a name that have the labels, given as name=value.
// Of histograms and summaries it counts the observations.
func (m metrics) sum(name string, labels ...string) float64 {
	m.t.Helper()
	family := m.families[name]
	if family == nil {
		m.t.Errorf("there is no metric %s", name)
		return -1
	}
	total := 0.0
	for _, one := range family.Metric {
		if has(one, labels) {
			total += one.GetCounter().GetValue() + one.GetGauge().GetValue() +
				float64(one.GetHistogram().GetSampleCount()) + float64(one.GetSummary().GetSampleCount())
		}
	}
	return total
}

func has(metric *dto.Metric, labels []string) bool {
	for _, label := range labels {
		name, value, _ := strings.Cut(label, "=")
		found := false
		for _, pair := range metric.Label {
			found = found || pair.GetName() == name && pair.GetValue() == value
		}
		if !found {
			return false
		}
	}
	return true
}

// is tells when a metric has another value than wanted.
func (m metrics) is(want float64, name string, labels ...string) {
	m.t.Helper()
	if got := m.sum(name, labels...); got != want {
		m.t.Errorf("%s%v is %v, want %v", name, labels, got, want)
	}
}

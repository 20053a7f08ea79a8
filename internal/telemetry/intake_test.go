package telemetry

import (
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/chartpost/chartpost/schemas"
)

// gatherIntake has every metric of an intake.
func gatherIntake(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	i := NewIntake("v1", func() []Check { return []Check{{"nats", true}, {"process", false}} })
	i.Request("PUT /v1/jobs/{id}", 202, time.Millisecond)
	i.Request("PUT /v1/jobs/{id}", 429, time.Millisecond)
	i.Job(schemas.Live, "stored")
	i.Job(schemas.Live, "a value: that is none of our codes")
	i.File(1000, "stored")
	families, err := i.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

func TestIntakeMetrics(t *testing.T) {
	families := gatherIntake(t)
	for name, want := range map[string]string{
		"chartpost_intake_request_duration_seconds": `value:"429"`,
		"chartpost_intake_jobs_total":               `value:"other"`,
		"chartpost_intake_files_total":              `value:"stored"`,
		"chartpost_intake_file_bytes_total":         "value:1000",
		"chartpost_intake_check":                    `value:"process"`,
		"chartpost_build_info":                      `value:"v1"`,
	} {
		text := strings.ReplaceAll(families[name].String(), " ", "")
		if !strings.Contains(text, want) || strings.Contains(text, "none of our codes") {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
	}
}

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/samples"
)

// TestWhatRedoxSaid: the reason of a refusal has status, issue codes, where the issue is and
// the trace id of Redox, and no word of what Redox wrote about the patient.
func TestWhatRedoxSaid(t *testing.T) {
	b := newBench(t)
	b.run(cli.ExitOK, "", "setup")
	stop := b.worker()
	patient, report := b.file("patient.json", samples.Patient()), b.file("report.pdf", samples.Documents()[0].Bytes)
	b.fault(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.AnswerStatus, Status: http.StatusUnprocessableEntity,
		Header: map[string]string{"Content-Type": "application/fhir+json", "Redox-Trace-Id": "trace-77"},
		Body:   `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","diagnostics":"Zebedee was born on 1961-04-12","expression":["Bundle.entry[1].resource.birthDate","Patient.where(name='Zebedee')"]}]}`,
	})
	b.run(cli.ExitNotAccepted, "", "send", "--to", "good-health", "--redox-environment", "Development", "--patient", patient, "--upload", report, "--bucket", "reports", "--id", "said-1")
	for _, args := range []string{"status said-1", "dead show said-1", "dead show said-1 --json", "events export"} {
		out, errs := b.run(cli.ExitOK, "", strings.Fields(args)...)
		for _, want := range []string{"status 422", "issues required", "at Bundle.entry[1].resource.birthDate Patient", "trace trace-77"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in %s", args, want, out)
			}
		}
		if strings.Contains(out+errs, "Zebedee") || strings.Contains(out+errs, "1961") {
			t.Errorf("%s: %s%s", args, out, errs)
		}
	}
	stop()
	if strings.Contains(b.log.String(), "Zebedee") {
		t.Error("the worker's log has the patient's name")
	}
}

package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

const publishersTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTheTraceOfAReplay takes jobs through a schedule, the dead letters and an
// operator's commands, on real servers: each attempt is a child of the one before
// it, in the publisher's trace, and so says each event. Without a collector the
// publisher's own header goes the whole way.
func TestTheTraceOfAReplay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(cli.ExitOK, "", "setup")
	document, patient := b.file("a.pdf", samples.Documents()[0].Bytes), b.file("patient.json", samples.Patient())
	b.run(cli.ExitOK, "", "send", "--to", "nowhere", "--patient", patient, "--upload", document, "--bucket", "reports", "--key", "a.pdf", "--wait", "0")
	messages := redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "good-health"}
	for name, traced := range map[string]bool{"with a collector": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			b := b.of(t)
			prefix, set := "traced", []string(nil)
			if !traced {
				prefix, set = "untraced", []string{"CHARTPOST_OTLP_ENDPOINT="}
			}
			replayed, resolved := prefix+"-replayed", prefix+"-resolved"

			// Unknown, then sent again by decision.
			stop := b.worker(set...)
			b.fault(redoxsim.Fault{Match: messages, Action: redoxsim.CutAfterProcessing})
			b.publishTraced(resolved)
			b.awaitEvent(resolved, "1/unknown")
			b.run(cli.ExitOK, "", "dead", "resolve", resolved, "--resend", "--yes")
			b.awaitEvent(resolved, "2/accepted")
			b.awaitSpans(resolved, traced, 2)
			stop()
			// A schedule, then the dead letters, since nobody knows of the first sending,
			// then the lane again.
			stop = b.worker(append(set, "CHARTPOST_ON_UNKNOWN=resend")...)
			b.fault(redoxsim.Fault{Match: messages, Action: redoxsim.CutAfterProcessing})
			b.fault(redoxsim.Fault{Match: messages, Action: redoxsim.StatusAfterBody, Status: 400})
			b.publishTraced(replayed)
			b.awaitEvent(replayed, "2/unknown")
			b.run(cli.ExitOK, "", "dead", "replay", replayed, "--unknown", "--expires-in", "1h", "--yes")
			b.awaitEvent(replayed, "3/accepted")
			b.awaitSpans(replayed, traced, 3)
			stop()

			b.checkTrace(replayed, traced, "1/retrying", "2/unknown", "3/accepted")
			b.checkTrace(resolved, traced, "1/unknown", "2/accepted")
		})
	}
}

// awaitSpans waits for the spans of n attempts at a job: a worker that ends waits
// for its collector for 5 s only.
func (b *bench) awaitSpans(id string, spans bool, n int) {
	b.t.Helper()
	if spans {
		devtest.Until(b.t, "the spans have come", 2*time.Minute, func() bool { return len(b.spans.attempts(id)) >= n })
	}
}

func (b *bench) publishTraced(id string) {
	b.t.Helper()
	data, err := json.Marshal(map[string]any{
		"id": id, "operation": "documentreference-create", "requested_at": "2026-11-20T10:00:00Z", "expires_at": never,
		"destination": map[string]any{"slug": "good-health", "environment": "Development"},
		"files":       []any{map[string]any{"bucket": "reports", "key": "a.pdf", "content_type": "application/pdf"}},
		"message":     map[string]any{"patient": json.RawMessage(samples.Patient()), "resource": map[string]any{"resourceType": "DocumentReference", "status": "current"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.publish("chartpost.jobs.live.good-health", data, schemas.HeaderTrace, publishersTrace)
}

// checkTrace holds a job's events, one for each attempt, to be a chain that the
// publisher began; without spans all of them carry the publisher's header.
func (b *bench) checkTrace(id string, spans bool, events ...string) {
	b.t.Helper()
	attempts, headers := b.spans.attempts(id), b.eventsOf(id)
	if want := len(events); spans && len(attempts) != want || !spans && len(attempts) != 0 {
		b.t.Fatalf("%s: %d attempts have a span, want those of %v", id, len(attempts), events)
	}
	before := schemas.Trace(publishersTrace)
	for _, event := range events {
		carried := schemas.ParseTrace(headers[event].Get(schemas.HeaderTrace))
		if !spans {
			if carried != publishersTrace {
				b.t.Errorf("%s: %s carries %q", id, event, carried)
			}
			continue
		}
		span := attempts[event[:1]]
		if span.TraceID != before.ID() || span.ParentSpanID != before.SpanID() {
			b.t.Errorf("%s: the attempt of %s is in %s under %s, want %s", id, event, span.TraceID, span.ParentSpanID, before)
		}
		if carried.ID() != span.TraceID || carried.SpanID() != span.SpanID {
			b.t.Errorf("%s: %s carries %q, want the span %s", id, event, carried, span.SpanID)
		}
		before = carried
	}
}

package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

const traceOfTests = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// collected is a collector of spans, and what it was sent.
type collected struct {
	mu    sync.Mutex
	texts []string
	spans []span
}

// span is one as OTLP has it in JSON.
type span struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Attributes   []struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	} `json:"attributes"`
}

func (s span) attribute(key string) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			for _, value := range a.Value {
				return value
			}
		}
	}
	return nil
}

// collector starts one and makes the world's workers send to it.
func (w *world) collector() *collected {
	w.t.Helper()
	c := &collected{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			w.t.Errorf("%s %s %v", r.Method, r.URL, err)
		}
		var request struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []span `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if err := json.Unmarshal(text, &request); err != nil {
			w.t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.texts = append(c.texts, string(text))
		for _, of := range request.ResourceSpans {
			for _, in := range of.ScopeSpans {
				c.spans = append(c.spans, in.Spans...)
			}
		}
	}))
	w.t.Cleanup(server.Close)
	w.settings.Telemetry.OTLPEndpoint = server.URL
	return c
}

// attempts are the spans of attempts at a job, in their order.
func (c *collected) attempts(id string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []span
	for _, s := range c.spans {
		if s.Name == "deliver" && s.attribute("chartpost.job_id") == id {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b span) int {
		return strings.Compare(a.attribute("chartpost.attempt").(string), b.attribute("chartpost.attempt").(string))
	})
	return list
}

// text is all that was sent.
func (c *collected) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.texts, "\n")
}

func (c *collected) steps(of span) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, s := range c.spans {
		if s.ParentSpanID == of.SpanID && s.Name != "deliver" {
			names = append(names, s.Name)
		}
	}
	return names
}

func (w *world) publishTraced(job schemas.Job, trace string) {
	w.t.Helper()
	data, err := json.Marshal(job)
	if err != nil {
		w.t.Fatal(err)
	}
	msg := nats.NewMsg(schemas.JobSubject("chartpost", schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}))
	msg.Data = data
	msg.Header.Set(schemas.HeaderTrace, trace)
	if _, err := w.js.PublishMsg(w.t.Context(), msg); err != nil {
		w.t.Fatal(err)
	}
}

// eventTraces are the traces that the events of a job carry, by attempt/status.
func (w *world) eventTraces(id string) map[string]schemas.Trace {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), "CHARTPOST_EVENTS")
	if err != nil {
		w.t.Fatal(err)
	}
	traces := map[string]schemas.Trace{}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		raw, err := stream.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		event, err := schemas.DecodeEvent(raw.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		if event.Data.JobID == id {
			traces[strings.TrimPrefix(event.ID, event.Data.Destination+"/"+id+"/")] = schemas.ParseTrace(raw.Header.Get(schemas.HeaderTrace))
		}
	}
	return traces
}

// TestATraceCrossesTheQueue: the attempts at a job are one trace, which the
// publisher began, and each has its steps; events, dead letters and the log
// name it.
func TestATraceCrossesTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	spans := w.collector()
	stop := w.worker()
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1}))
	w.publishTraced(w.job("retried", []schemas.File{w.put("a.pdf", document(300_000, "a"))}), traceOfTests)
	w.final("retried")
	w.publishTraced(w.job("failed", []schemas.File{{Bucket: testBucket, Key: t.Name() + "/none.pdf"}}), traceOfTests)
	w.final("failed")
	w.publish(w.job("untraced", []schemas.File{w.put("b.pdf", document(100, "b"))}))
	w.final("untraced")
	w.drained()
	// A worker that ends waits for its collector for 5 s only.
	devtest.Until(t, "the spans have come", patienceOfTests, func() bool {
		return len(spans.attempts("retried")) > 1 && len(spans.attempts("failed")) > 0 && len(spans.attempts("untraced")) > 0
	})
	stop()

	id := schemas.Trace(traceOfTests).ID()
	attempts := spans.attempts("retried")
	if len(attempts) != 2 {
		t.Fatalf("%d attempts have a span, want 2", len(attempts))
	}
	first, second := attempts[0], attempts[1]
	if first.TraceID != id || first.ParentSpanID != schemas.Trace(traceOfTests).SpanID() {
		t.Errorf("the first attempt is in %s under %s", first.TraceID, first.ParentSpanID)
	}
	if second.TraceID != id || second.ParentSpanID != first.SpanID {
		t.Errorf("the second attempt is in %s under %s, not under the first, %s", second.TraceID, second.ParentSpanID, first.SpanID)
	}
	if first.attribute("chartpost.status") != "retrying" || second.attribute("chartpost.status") != "accepted" || second.attribute("chartpost.possible_duplicate") != true {
		t.Errorf("%+v\n%+v", first, second)
	}
	for _, step := range []string{"understand", "admit", "authorize", "survey", "upload", "compose", "send", "settle", "ack"} {
		if !slices.Contains(spans.steps(first), step) {
			t.Errorf("the first attempt has no step %s: %v", step, spans.steps(first))
		}
	}
	if slices.Contains(spans.steps(second), "upload") {
		t.Error("the second attempt says that it uploaded")
	}

	traces := w.eventTraces("retried")
	for event, want := range map[string]string{
		"1/uploaded": first.SpanID, "1/retrying": first.SpanID, "2/uploaded": second.SpanID, "2/accepted": second.SpanID,
	} {
		if got := traces[event]; got.ID() != id || got.SpanID() != want {
			t.Errorf("the event %s carries %q, want the span %s", event, got, want)
		}
	}
	letters := w.dead()
	if len(letters) != 1 || schemas.ParseTrace(letters[0].Header.Get(schemas.HeaderTrace)).SpanID() != spans.attempts("failed")[0].SpanID {
		t.Errorf("the dead letter's headers: %v", letters)
	}
	if alone := spans.attempts("untraced"); len(alone) != 1 || alone[0].TraceID == id || alone[0].ParentSpanID != "" {
		t.Errorf("a job without a trace: %+v", alone)
	}
	if !strings.Contains(w.log.String(), `"trace_id":"`+id+`"`) {
		t.Error("the log does not name the trace")
	}
}

// TestATraceGoesOnWithoutACollector: what a publisher began is not broken by a
// worker that makes no spans; what is no trace goes nowhere.
func TestATraceGoesOnWithoutACollector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1}))
	w.publishTraced(w.job("traced", []schemas.File{w.put("a.pdf", document(100, "a"))}), traceOfTests)
	w.final("traced")
	w.publishTraced(w.job("hostile", []schemas.File{w.put("b.pdf", document(100, "b"))}), "Zebedee "+traceOfTests)
	w.final("hostile")
	for event, got := range w.eventTraces("traced") {
		if got != traceOfTests {
			t.Errorf("the event %s carries %q", event, got)
		}
	}
	for event, got := range w.eventTraces("hostile") {
		if got != "" {
			t.Errorf("the event %s carries %q", event, got)
		}
	}
	if strings.Contains(w.log.String(), "Zebedee") {
		t.Error("the log holds what was no trace")
	}
}

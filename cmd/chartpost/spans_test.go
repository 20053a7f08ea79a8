package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// spanLog is a collector of OTLP in JSON, and what it was sent.
type spanLog struct {
	url   string
	mu    sync.Mutex
	texts []string
	spans []attemptSpan
}

type attemptSpan struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Attributes   []struct {
		Key   string `json:"key"`
		Value struct {
			String string `json:"stringValue"`
			Int    string `json:"intValue"`
		} `json:"value"`
	} `json:"attributes"`
}

func collectSpans(t *testing.T) *spanLog {
	t.Helper()
	l := &spanLog{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var sent struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []attemptSpan `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if bad := json.Unmarshal(text, &sent); err != nil || bad != nil {
			t.Errorf("%v %v", err, bad)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.texts = append(l.texts, string(text))
		for _, of := range sent.ResourceSpans {
			for _, in := range of.ScopeSpans {
				l.spans = append(l.spans, in.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

func (l *spanLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.texts, "\n")
}

// attempts are the spans of attempts at a job, by the attempt's number.
func (l *spanLog) attempts(id string) map[string]attemptSpan {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[string]attemptSpan{}
	for _, s := range l.spans {
		var job, attempt string
		for _, a := range s.Attributes {
			switch a.Key {
			case "chartpost.job_id":
				job = a.Value.String
			case "chartpost.attempt":
				attempt = a.Value.Int
			}
		}
		if s.Name == "deliver" && job == id {
			found[attempt] = s
		}
	}
	return found
}

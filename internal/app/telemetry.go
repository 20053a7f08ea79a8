package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/redoxclient"
)

// Telemetry says what a worker tells of itself beside its log.
type Telemetry struct {
	Destinations int    `name:"metrics-destinations" default:"200" help:"How many destinations have metrics of their own, first come first served; all others are told of together."`
	Pprof        bool   `name:"pprof" help:"Answer /debug/pprof too, at --http-addr. It shows what the process does, and whoever reaches it can slow it: for a moment, and for yourself alone."`
	OTLPEndpoint string `name:"otlp-endpoint" placeholder:"URL" help:"Where to send traces: base URL of an OpenTelemetry collector that takes OTLP over HTTP. Empty takes OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, a whole URL, else OTEL_EXPORTER_OTLP_ENDPOINT; without any none are made."`
}

// Check reports every fault of the settings.
func (t Telemetry) Check() error {
	var f faults
	if t.Destinations < 0 {
		f.add("metrics-destinations", "must not be negative")
	}
	if t.OTLPEndpoint != "" && !collector(t.OTLPEndpoint) {
		f.add("otlp-endpoint", "must be a URL like http://collector:4318")
	}
	for _, name := range []string{tracesVariable, otlpVariable} {
		if value := os.Getenv(name); value != "" && !collector(value) {
			f.errors(errors.New(name + " must be a URL like http://collector:4318"))
		}
	}
	return f.join()
}

func collector(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// OpenTelemetry, "OpenTelemetry Protocol Exporter": the variables that every
// program obeys. The one of traces is a whole URL.
const (
	otlpVariable   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesVariable = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	headerVariable = "OTEL_EXPORTER_OTLP_HEADERS"
	serverVariable = "OTEL_SERVICE_NAME"
)

// tracesURL is where spans go; empty is nowhere.
func (t Telemetry) tracesURL() string {
	if whole := os.Getenv(tracesVariable); t.OTLPEndpoint == "" && whole != "" {
		return whole
	}
	base := cmp.Or(t.OTLPEndpoint, os.Getenv(otlpVariable))
	if base == "" {
		return ""
	}
	return strings.TrimRight(base, "/") + "/v1/traces"
}

// headers are those of OTEL_EXPORTER_OTLP_HEADERS: key=value, separated by
// commas, the values escaped as in a URL.
func headers(text string) http.Header {
	out := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if plain, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			out.Set(strings.TrimSpace(key), plain)
		}
	}
	return out
}

// lastSpans is how long a worker that ends waits for its collector.
const lastSpans = 5 * time.Second

// open begins to tell: of everything until all else is closed.
func (t Telemetry) open(name string, about *health.Health, open *stack, log *slog.Logger) *telemetry.Telemetry {
	settings := telemetry.Settings{Version: Version(), Destinations: t.Destinations}
	if to := t.tracesURL(); to != "" {
		settings.Tracer = telemetry.NewTracer(cmp.Or(os.Getenv(serverVariable), "chartpost"), name, Version(), telemetry.NewOTLP(to, headers(os.Getenv(headerVariable))))
		open.push("traces", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
			defer cancel()
			return settings.Tracer.Close(ctx)
		})
	}
	watching := telemetry.New(settings)
	about.Handle("GET /metrics", watching.Handler(log))
	if t.Pprof {
		log.Warn("answering /debug/pprof, which shows what the process does")
		about.Handle("GET /debug/pprof/", http.HandlerFunc(pprof.Index))
		about.Handle("GET /debug/pprof/cmdline", http.HandlerFunc(pprof.Cmdline))
		about.Handle("GET /debug/pprof/profile", http.HandlerFunc(pprof.Profile))
		about.Handle("GET /debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	}
	return watching
}

// aboutTheQueue is told from the first connection on.
func aboutTheQueue(about *health.Health, queue *natsq.Conn) telemetry.Parts {
	return telemetry.Parts{
		Checks: func() []telemetry.Check {
			var all []telemetry.Check
			for _, c := range about.Checks() {
				all = append(all, telemetry.Check(c))
			}
			return all
		},
		Queue: func() telemetry.Queue {
			q := telemetry.Queue{Connected: queue.Connected(), Reconnects: queue.Reconnects(), Troubles: len(queue.Troubles()), Renewed: queue.Renewed()}
			for _, h := range queue.Holdings() {
				q.Streams = append(q.Streams, telemetry.Stream(h))
			}
			return q
		},
	}
}

// standing is the budget as metrics tell it.
func (r *requests) standing() telemetry.Budget {
	s := r.State()
	return telemetry.Budget{
		Limit: s.Requests, Effective: s.Effective, Live: s.Live, Backfill: s.Backfill, Out: s.Out, Assumed: s.Assumed,
		WaitingLive: r.Waiting(budget.Live), WaitingBackfill: r.Waiting(budget.Backfill), Held: s.Held, Age: s.Age,
	}
}

// observe is what the client of Redox tells of its requests.
func observe(t *telemetry.Telemetry) redoxclient.Observe {
	if t == nil {
		return nil
	}
	return func(op redoxclient.Op, status int, took time.Duration) { t.Request(string(op), status, took) }
}

// Package health answers /healthz and /readyz over HTTP. It knows nothing of
// what it reports: each part registers a probe of its own.
//
// The answers may be read by anybody who reaches the address, so a probe speaks
// in fixed words and codes: no address, no job id, nothing of a job.
package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Check is what a probe found.
type Check struct {
	OK bool
	// Since is since when it is so; zero is not known and not told.
	Since time.Time
	// Text says what is wrong, or what there is to say when nothing is.
	Text string
}

// State is how far the process has come.
type State string

// The states. Only Working is ready.
const (
	Starting State = "starting"
	Working  State = "working"
	Stopping State = "stopping"
)

// Health keeps the probes and answers for them. It is an http.Handler.
type Health struct {
	mux *http.ServeMux

	mu    sync.Mutex
	state State
	since time.Time
	ready []probe
	live  []probe
}

type probe struct {
	name string
	ask  func() Check
}

// New gives a Health that is Starting and has no probes.
func New() *Health {
	h := &Health{mux: http.NewServeMux()}
	h.Enter(Starting)
	h.mux.HandleFunc("GET /healthz", h.healthz)
	h.mux.HandleFunc("GET /readyz", h.readyz)
	return h
}

// Enter tells how far the process has come. Nothing follows Stopping.
func (h *Health) Enter(s State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != s && h.state != Stopping {
		h.state, h.since = s, time.Now()
	}
}

// Add makes /readyz depend on a probe. The probe returns at once: it tells what
// is known and does not go and look.
func (h *Health) Add(name string, ask func() Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = append(h.ready, probe{name, ask})
}

// Live makes /healthz depend on a probe, which fails only when nothing but a new
// start of the process can help. The error's text is shown.
func (h *Health) Live(name string, alive func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = append(h.live, probe{name, func() Check {
		if err := alive(); err != nil {
			return Check{Text: err.Error()}
		}
		return Check{OK: true}
	}})
}

// Handle serves something else at the same address. It panics where the pattern
// is taken, as http.ServeMux does.
func (h *Health) Handle(pattern string, handler http.Handler) { h.mux.Handle(pattern, handler) }

// ServeHTTP implements http.Handler.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Named is a check under its name.
type Named struct {
	Name string
	OK   bool
}

// Checks are those of /readyz, as they stand.
func (h *Health) Checks() []Named {
	_, checks := run(h.readiness())
	named := make([]Named, len(checks))
	for i, c := range checks {
		named[i] = Named{c.Name, c.OK}
	}
	return named
}

// Turning fails when a loop has not turned for longer than limit. last is when
// it did; it may be called at any time.
func Turning(last func() time.Time, limit time.Duration) func() error {
	return func() error {
		if still := time.Since(last()); still > limit {
			return fmt.Errorf("%w for %s", errStill, still.Round(time.Second))
		}
		return nil
	}
}

var errStill = errors.New("the loop has not turned")

// told is a Check as the answer shows it.
type told struct {
	Name  string     `json:"name"`
	OK    bool       `json:"ok"`
	Since *time.Time `json:"since,omitempty"`
	Text  string     `json:"text,omitempty"`
}

func (h *Health) readyz(w http.ResponseWriter, _ *http.Request) {
	ok, checks := run(h.readiness())
	answer(w, ok, struct {
		Ready  bool   `json:"ready"`
		Checks []told `json:"checks"`
	}{ok, checks})
}

// readiness is the probes of /readyz, that of the process first.
func (h *Health) readiness() []probe {
	h.mu.Lock()
	defer h.mu.Unlock()
	state := Check{OK: h.state == Working, Since: h.since, Text: string(h.state)}
	return append([]probe{{"process", func() Check { return state }}}, h.ready...)
}

func (h *Health) healthz(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	probes := append([]probe{}, h.live...)
	h.mu.Unlock()
	ok, checks := run(probes)
	answer(w, ok, struct {
		Alive  bool   `json:"alive"`
		Checks []told `json:"checks"`
	}{ok, checks})
}

// run asks outside of the lock: a probe may take one of its own.
func run(probes []probe) (ok bool, checks []told) {
	ok, checks = true, []told{}
	for _, p := range probes {
		c := p.ask()
		t := told{Name: p.name, OK: c.OK, Text: c.Text}
		if !c.Since.IsZero() {
			since := c.Since.UTC().Truncate(time.Second)
			t.Since = &since
		}
		checks = append(checks, t)
		ok = ok && c.OK
	}
	return ok, checks
}

func answer(w http.ResponseWriter, ok bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// The caller that went away is not told.
	_ = json.NewEncoder(w).Encode(body)
}

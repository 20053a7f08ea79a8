package redoxsim

import (
	"cmp"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Server is the simulated Redox, an http.Handler. It starts no goroutines.
type Server struct {
	cfg     Config
	spool   *spool
	parsing chan struct{}
	done    chan struct{}
	closing sync.Once
	sim     http.Handler

	mu       sync.Mutex
	audience string
	clients  map[string]*client
	tokens   map[string]grant
	replays  map[string]time.Time
	windows  map[string][]time.Time
	messages []Message
	uploads  map[string]*Upload
	requests []Request
	seen     int
	rules    []*rule
	changed  chan struct{}
}

type client struct {
	id      string
	keys    map[string]any
	sources []string
	user    bool
}

// grant is what an access token stands for.
type grant struct {
	client  *client
	expires time.Time
}

// target is what is known of a request's aim.
type target struct {
	kind         Kind
	operation    string
	destinations []string
	environment  string
	path         string
	dataModel    bool
	// method is empty for POST.
	method string
	// serve handles the request; nil when refusal says why it cannot be.
	serve   func(*exchange) *answer
	refusal *answer
}

// ServeHTTP serves Redox's hosts, all under one address, and /_sim/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.sim.ServeHTTP(w, r)
		return
	}
	x := &exchange{s: s, w: w, r: r, t: s.route(r)}
	x.log = Request{Method: r.Method, Path: r.URL.Path, Start: s.cfg.Now()}
	defer s.record(x)
	if s.cfg.Rate.Requests > 0 {
		if refused := s.admit(w, r); refused != nil {
			x.send(refused)
			return
		}
	}
	x.fault = s.pick(x.t, false)
	if !x.before() {
		return
	}
	if x.t.refusal != nil {
		x.send(x.t.refusal)
		return
	}
	if a := x.t.serve(x); a != nil {
		x.finish(a)
	}
}

// record puts the finished request into the log.
func (s *Server) record(x *exchange) {
	x.log.End = s.cfg.Now()
	if x.fault != nil {
		x.log.Fault = x.fault.Action
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	x.log.Seq = s.seen
	if len(s.requests) >= keptRequests {
		s.requests = append(s.requests[:0:0], s.requests[keptRequests/10:]...)
	}
	s.requests = append(s.requests, x.log)
	s.announce()
}

// route finds the handler by path. Unknown destinations, operations and flags
// are 404, other methods 405 (Redox docs, status codes).
func (s *Server) route(r *http.Request) target {
	t := target{path: r.URL.Path}
	switch parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case r.URL.Path == "/v2/auth/token":
		t.kind, t.operation, t.serve = TokenRequest, "token", s.serveToken
	case r.URL.Path == "/endpoint":
		t.kind, t.dataModel, t.serve = MessageRequest, true, s.serveDataModel
	case r.URL.Path == "/upload":
		t.kind, t.operation, t.serve = UploadRequest, "upload", s.serveMultipart
	case len(parts) >= 2 && parts[0] == "fhir" && parts[1] == "R4":
		s.routeFHIR(&t, parts[2:])
	case parts[0] == "platform" && s.cfg.Platform != nil:
		s.routePlatform(&t)
	default:
		t.refusal = refuseFHIR(http.StatusNotFound, "path-unknown")
	}
	if method := cmp.Or(t.method, http.MethodPost); t.refusal == nil && r.Method != method {
		t.refusal = refuseFHIR(http.StatusMethodNotAllowed, "method-"+strings.ToLower(method))
		t.refusal.header = map[string]string{"Allow": method}
	}
	return t
}

// routeFHIR takes the segments after /fhir/R4/: destination, flag, resource
// and, but for Binary, $operation.
func (s *Server) routeFHIR(t *target, parts []string) {
	if len(parts) < 3 || len(parts) > 4 {
		t.refusal = refuseFHIR(http.StatusNotFound, "path-unknown")
		return
	}
	slug := parts[0]
	t.destinations, t.environment = []string{slug}, parts[1]
	switch {
	case len(parts) == 3 && parts[2] == "Binary":
		t.kind, t.operation, t.serve = UploadRequest, "binary", s.serveBinary
		if slug != "redox" {
			t.refusal = refuseFHIR(http.StatusNotFound, "binary-slug-redox")
		}
	case len(parts) == 4:
		t.kind, t.serve = MessageRequest, s.serveFHIR
		t.operation = strings.TrimPrefix(parts[3], "$")
		op, ok := fhirOperations[t.operation]
		if !ok || !strings.HasPrefix(parts[3], "$") || op.resource != parts[2] {
			t.refusal = refuseFHIR(http.StatusNotFound, "operation-unknown")
		} else if !s.knows(slug) {
			t.refusal = refuseFHIR(http.StatusNotFound, "destination-unknown")
		}
	default:
		t.refusal = refuseFHIR(http.StatusNotFound, "path-unknown")
	}
	if t.refusal == nil && !contains(s.cfg.Environments, t.environment) {
		t.refusal = refuseFHIR(http.StatusNotFound, "environment-flag")
	}
}

func (s *Server) knows(destination string) bool {
	return destination != "" && (len(s.cfg.Destinations) == 0 || contains(s.cfg.Destinations, destination))
}

// RevokeTokens makes every token issued so far invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Close ends hanging and delayed requests and removes the temporary files.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		if s.spool.temporary {
			err = os.RemoveAll(s.spool.dir)
		}
	})
	return err
}

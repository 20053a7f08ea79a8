package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/intake/access"
	"github.com/chartpost/chartpost/schemas"
)

// Feed is a part of the events.
type Feed struct {
	Classes      []schemas.Class
	Destinations []string
	Statuses     []schemas.Status
	// After is the place of the last event that was seen; 0 begins with the next one.
	After uint64
}

// Events follows events until each returns false or ctx ends. started is told behind which
// event it begins.
type Events interface {
	Follow(ctx context.Context, of Feed, started func(after uint64) error, each func(place uint64, event schemas.Event, data []byte) bool) error
}

// Meter counts. Its labels are this package's own words.
type Meter interface {
	// Request notes an answer by the route's pattern.
	Request(route string, status int, took time.Duration)
	// Job notes what became of a job that came: stored, known, or the code of a refusal.
	Job(class schemas.Class, result string)
	// File notes the bytes of an upload, and how it ended.
	File(bytes int64, result string)
}

// Parts are what the API works with.
type Parts struct {
	Service *intake.Service
	Viewer  intake.Viewer
	// Uploads may be nil: then no files are taken.
	Uploads *intake.Uploads
	Events  Events
	Gate    *access.Gate
	Quotas  *access.Quotas
	Meter   Meter
	Log     *slog.Logger
}

// Settings are the bounds of the API.
type Settings struct {
	// Requests is how many may be in hand, event streams apart, and Streams how many of
	// those may be open.
	Requests, Streams int
	// Loopback takes requests to a name of this machine alone, so that no web page of
	// another name reaches it.
	Loopback bool
	// Stall is how long the bytes of a body may stand still, and JobTime how long the body of
	// one job may take.
	Stall, JobTime time.Duration
}

// API is the handler of all routes.
type API struct {
	Parts
	settings Settings
	places   chan struct{}
	streams  chan struct{}
	audit    *Audit
	// ending ends the event streams.
	ending context.Context
	end    context.CancelFunc
	routes http.Handler
}

// New makes the API.
func New(p Parts, s Settings) *API {
	a := &API{Parts: p, settings: s, places: make(chan struct{}, s.Requests), streams: make(chan struct{}, s.Streams), audit: NewAudit(p.Log)}
	a.ending, a.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	for _, r := range a.table() {
		mux.Handle(r.method+" "+r.path, a.route(r))
		if !r.shared {
			mux.Handle(r.path, a.route(route{path: r.path, open: true, serve: notAllowed(r.allow)}))
		}
	}
	mux.Handle("/", a.route(route{path: "other", open: true, serve: notFound}))
	a.routes = http.NewCrossOriginProtection().Handler(mux)
	return a
}

// route is one operation.
type route struct {
	method, path string
	// allow lists the methods of the path; shared is set where another row has the path too.
	allow  string
	shared bool
	// open needs no caller.
	open  bool
	serve func(*call) error
	// stream takes no place among the requests.
	stream bool
}

func (a *API) table() []route {
	return []route{
		{method: "POST", path: "/v1/jobs", allow: "POST", serve: a.postJobs},
		{method: "PUT", path: "/v1/jobs/{id}", allow: "GET, HEAD, PUT", serve: a.putJob},
		{method: "GET", path: "/v1/jobs/{id}", shared: true, serve: a.getJob},
		{method: "GET", path: "/v1/events", allow: "GET, HEAD", stream: true, serve: a.getEvents},
		{method: "POST", path: "/v1/files", allow: "POST", serve: a.postFile},
	}
}

// Close ends the event streams, so that a shutdown need not wait for them.
func (a *API) Close() { a.end() }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.settings.Loopback && !loopbackHost(r.Host) {
		c := &call{w: w, r: r}
		c.refuse(&intake.Refusal{Kind: intake.Forbidden, Code: "host_forbidden", Detail: "without credentials, requests must name this machine: localhost, 127.0.0.1 or [::1]"})
		return
	}
	// The last answer on this connection had a time of its own.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	takes := r.Method == http.MethodPost || r.Method == http.MethodPut
	if r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || takes && r.ContentLength == 0) {
		// A proxy that reads lengths otherwise could take the rest for another request: none
		// follows on this connection (RFC 9112, 6.1).
		w.Header().Set("Connection", "close")
	}
	a.routes.ServeHTTP(w, r)
}

package redoxsim

import (
	"io"
	"net/http"

	"github.com/chartpost/chartpost/internal/redoxsim/platform"
)

// searchLimit bounds the body of a search.
const searchLimit = 64 << 10

// routePlatform finds the operation of the Platform API.
func (s *Server) routePlatform(t *target) {
	t.kind, t.serve = PlatformRequest, s.servePlatform
	t.operation, t.method = platform.Operation(t.path)
	if t.operation == "" {
		t.refusal = refuseFHIR(http.StatusNotFound, "path-unknown")
	}
}

// servePlatform lets users alone ask what became of messages.
func (s *Server) servePlatform(x *exchange) *answer {
	if !x.authorize() {
		return unauthorized()
	}
	if !x.client.user {
		return refuseFHIR(http.StatusForbidden, "user-level-key")
	}
	body, err := io.ReadAll(x.body(searchLimit))
	if err != nil {
		return x.broken(err, refuseFHIR(http.StatusRequestEntityTooLarge, "too-large"))
	}
	if !x.afterBody() {
		return nil
	}
	status, text, rule := s.cfg.Platform.Serve(x.r.URL, body)
	a := &answer{status: status, body: text}
	if rule != "" {
		a.refused = []string{rule}
	}
	return a
}

// log makes the logs of a message: one for each destination. That of a FHIR message
// has an id which its answer does not tell.
func (s *Server) log(m *Message) {
	if s.cfg.Platform == nil {
		return
	}
	for i, destination := range m.Destinations {
		arrived := platform.Message{Source: m.Source, Destination: destination, Model: m.model, EventType: m.event, At: m.At}
		if i < len(m.Receipt.LogIDs) {
			arrived.LogID = m.Receipt.LogIDs[i]
		}
		s.cfg.Platform.Arrived(arrived)
	}
}

package redoxsim

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// takeBody reads a message to its end and onto the spool. Without ok the answer
// says why; it is nil when the connection is gone.
func (x *exchange) takeBody(media string) (body Body, refused *answer, ok bool) {
	refuse := func(status int, rule string) *answer {
		fs := findings{{rule: rule}}
		if x.t.dataModel {
			return fs.metaErrors(status, "", "")
		}
		return fs.outcome(status)
	}
	got, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || got != media || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return body, refuse(http.StatusUnsupportedMediaType, "content-type"), false
	}
	limit := x.s.cfg.RequestLimit
	if x.r.ContentLength >= 0 || x.r.Header.Get("Content-Encoding") != "" {
		if a := x.lengthWithin(limit); a != nil {
			return body, refuse(a.status, a.refused[0]), false
		}
	}
	body, err = x.s.spool.take(x.body(limit), "message", messageDigests())
	if err != nil {
		return body, x.broken(err, refuse(http.StatusRequestEntityTooLarge, "too-large")), false
	}
	if !x.afterBody() {
		body.drop()
		return body, nil, false
	}
	return body, nil, true
}

// serveFHIR takes a FHIR message: $documentreference-create and its kin.
func (s *Server) serveFHIR(x *exchange) *answer {
	if !x.authorize() {
		return unauthorized()
	}
	if refused := x.nameSource(); refused != nil {
		return refused
	}
	body, refused, ok := x.takeBody("application/fhir+json")
	if !ok {
		return refused
	}
	m := Message{
		Operation: x.t.operation, Destination: x.t.destinations[0], Destinations: x.t.destinations,
		Environment: x.t.environment, Client: x.client.id, Source: x.source, Body: body,
		Started: x.log.Start, From: x.r.RemoteAddr,
	}
	op := fhirOperations[x.t.operation]
	found := s.checkFHIR(&m, op, x.client)
	if len(found) > 0 {
		body.drop()
		return found.outcome(http.StatusBadRequest)
	}
	if inside := x.errorInside("", ""); inside != nil {
		body.drop()
		return inside
	}
	m.Receipt = Receipt{
		TraceID:  uuid.NewString(),
		Location: "https://fhir.redoxengine.com/fhir-sandbox/" + op.resource + "/" + uuid.NewString() + "/_history/" + uuid.NewString(),
	}
	m.model, m.event = "FHIR."+op.resource, x.t.operation
	s.keepMessage(&m)
	return acceptedFHIR(m.Receipt)
}

// keepMessage records an accepted message and which uploads it named.
func (s *Server) keepMessage(m *Message) {
	m.At = s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Seq = len(s.messages) + 1
	for _, f := range m.Files {
		if u, ok := s.uploads[f.URL]; ok && f.How == Uploaded && !slices.Contains(u.Named, m.Seq) {
			u.Named = append(u.Named, m.Seq)
		}
	}
	if m.Files == nil {
		m.Files = []File{}
	}
	s.messages = append(s.messages, *m)
	s.log(m)
	s.announce()
}

package redoxsim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// dataModels are the messages served: DataModel, EventType → operation.
var dataModels = map[[2]string]string{
	{"Notes", "New"}:              "notes-new",
	{"Notes", "Replace"}:          "notes-replace",
	{"Media", "New"}:              "media-new",
	{"Media", "Replace"}:          "media-replace",
	{"Results", "New"}:            "results-new",
	{"Results", "NewUnsolicited"}: "results-newunsolicited",
}

var (
	availabilities   = []string{"Available", "Unavailable", "Obsolete", "Deleted", "Cancelled"}
	noteContentTypes = []string{"Plain Text", "Rich Text", "Base64 Encoded"}
	valueTypes       = []string{"Numeric", "String", "Date", "Time", "DateTime", "Coded Entry", "Encapsulated Data", "Formatted Text"}
)

// modelCheck collects what is wrong with one Data Model message and its files.
type modelCheck struct {
	findings
	s            *Server
	client       *client
	doc          *document
	m            *Message
	model, event string
	// status is what a refusal answers; 400 unless routing is at fault.
	status int
}

// serveDataModel takes a Data Model message.
func (s *Server) serveDataModel(x *exchange) *answer {
	if !x.authorize() {
		return unauthorized()
	}
	body, refused, ok := x.takeBody("application/json")
	if !ok {
		return refused
	}
	kept := false
	defer func() {
		if !kept {
			body.drop()
		}
	}()
	m := Message{Client: x.client.id, Body: body, Started: x.log.Start, From: x.r.RemoteAddr}
	c := s.checkDataModel(&m, x.client)
	x.t.operation, x.t.destinations = m.Operation, m.Destinations
	if x.fault == nil {
		if x.fault = s.pick(x.t, true); !x.before() || !x.afterBody() {
			return nil
		}
	}
	if x.acts(CutMidBody) { // chosen late: the whole body is here already
		x.cut()
		return nil
	}
	if len(c.findings) > 0 {
		return c.metaErrors(c.status, c.model, c.event)
	}
	if inside := x.errorInside(c.model, c.event); inside != nil {
		return inside
	}
	m.Receipt.TraceID = uuid.NewString()
	for range m.Destinations {
		m.Receipt.LogIDs = append(m.Receipt.LogIDs, uuid.NewString())
	}
	m.model, m.event = c.model, c.event
	kept = true
	s.keepMessage(&m)
	return acceptedDataModel(m.Receipt, c.model, c.event)
}

// checkDataModel judges the kept body of m and fills in what it says.
func (s *Server) checkDataModel(m *Message, c *client) *modelCheck {
	s.parsing <- struct{}{}
	defer func() { <-s.parsing }()
	k := &modelCheck{s: s, client: c, m: m, status: http.StatusBadRequest}
	doc, err := s.parse(m.Body)
	if err != nil {
		k.add("json", "")
		return k
	}
	k.doc = doc
	k.meta()
	k.patient()
	switch k.model {
	case "Notes":
		k.note()
	case "Media":
		k.media()
	case "Results":
		k.results()
	}
	if !doc.restValid() {
		k.add("json", "")
	}
	return k
}

// need is a required string.
func (k *modelCheck) need(o object, name, at string) string {
	value := text(o[name])
	if strings.TrimSpace(value) == "" {
		k.add("required", at+"/"+name)
	}
	return value
}

// meta checks the envelope. Requirements beyond the schema's DataModel and
// EventType are in Redox's prose.
func (k *modelCheck) meta() {
	meta, _ := k.doc.root["Meta"].(object)
	k.model, k.event = k.need(meta, "DataModel", "/Meta"), k.need(meta, "EventType", "/Meta")
	op, ok := dataModels[[2]string{k.model, k.event}]
	if !ok {
		k.status = http.StatusForbidden
		k.add("data-model-and-event-type", "/Meta")
		k.model, k.event = "", ""
	}
	k.m.Operation = op
	at := text(meta["EventDateTime"])
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil || !strings.HasSuffix(at, "Z") || !instants.MatchString(at) {
		k.add("event-date-time-utc", "/Meta/EventDateTime")
	}
	if test, given := meta["Test"]; given && test != nil {
		if _, ok := test.(bool); !ok {
			k.add("boolean", "/Meta/Test")
		}
	}
	k.source(meta)
	k.destinations(meta)
}

func (k *modelCheck) source(meta object) {
	source, _ := meta["Source"].(object)
	id, err := uuid.Parse(text(source["ID"]))
	switch {
	case err != nil || len(text(source["ID"])) != 36:
		k.add("source-uuid", "/Meta/Source/ID")
	case !contains(k.client.sources, id.String()):
		k.status = http.StatusForbidden
		k.add("source-of-another-client", "/Meta/Source/ID")
	default:
		k.m.Source = id.String()
	}
}

func (k *modelCheck) destinations(meta object) {
	all := list(meta["Destinations"])
	if len(all) == 0 {
		k.add("destination-required", "/Meta/Destinations")
	}
	for i, v := range all {
		o, _ := v.(object)
		id := k.need(o, "ID", "/Meta/Destinations/"+strconv.Itoa(i))
		if id != "" && !k.s.knows(id) {
			k.status = http.StatusNotFound
			k.add("destination-unknown", fmt.Sprintf("/Meta/Destinations/%d/ID", i))
		}
		k.m.Destinations = append(k.m.Destinations, id)
	}
	if len(k.m.Destinations) > 0 {
		k.m.Destination = k.m.Destinations[0]
	}
}

func (k *modelCheck) patient() {
	patient, _ := k.doc.root["Patient"].(object)
	ids := list(patient["Identifiers"])
	if len(ids) == 0 {
		k.add("required", "/Patient/Identifiers")
	}
	for i, v := range ids {
		id, _ := v.(object)
		at := "/Patient/Identifiers/" + strconv.Itoa(i)
		k.need(id, "ID", at)
		k.need(id, "IDType", at)
	}
}

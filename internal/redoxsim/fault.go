package redoxsim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Action is what an injected fault does.
type Action string

// Actions before the body is read; with Expect: 100-continue none of them
// asks for it.
const (
	// AnswerStatus answers Status, Header and Body without reading the request.
	AnswerStatus Action = "status"
	// DelayBody waits Delay, then goes on normally.
	DelayBody Action = "delay-body"
	// Redirect answers 307 to URL.
	Redirect Action = "redirect"
	// CutBeforeBody resets the connection at once.
	CutBeforeBody Action = "cut-before-body"
	// HangBeforeBody asks for no body, discards what comes unasked, and
	// answers nothing until the client leaves.
	HangBeforeBody Action = "hang-before-body"
)

// Actions while and after the body is read, before anything is kept.
const (
	// SlowRead reads the body at Bytes a second.
	SlowRead Action = "slow-read"
	// CutMidBody resets the connection after Bytes of the body.
	CutMidBody Action = "cut-mid-body"
	// HangMidBody reads no further after Bytes of the body, and answers nothing
	// until the server closes.
	HangMidBody Action = "hang-mid-body"
	// CutAfterBody resets it after the whole body; nothing is processed.
	CutAfterBody Action = "cut-after-body"
	// StatusAfterBody reads the body, processes nothing, answers Status.
	StatusAfterBody Action = "status-after-body"
	// Hang reads the body, processes nothing, and answers nothing until the
	// client leaves.
	Hang Action = "hang"
)

// Actions after processing: whatever was valid is kept.
const (
	// DelayAnswer waits Delay before the answer.
	DelayAnswer Action = "delay-answer"
	// CutAfterProcessing loses the answer by a reset.
	CutAfterProcessing Action = "cut-after-processing"
	// StatusAfterProcessing answers Status although the request took effect,
	// as a gateway's 504 does.
	StatusAfterProcessing Action = "status-after-processing"
	// HangAfterProcessing never answers.
	HangAfterProcessing Action = "hang-after-processing"
	// AnswerUnreadable answers the right 2xx with a body that is not JSON.
	AnswerUnreadable Action = "answer-unreadable"
	// AnswerCut ends the connection in the middle of the answer's body.
	AnswerCut Action = "answer-cut"
	// AnswerOversized answers with a valid JSON body of Bytes (default 64 MiB).
	AnswerOversized Action = "answer-oversized"
	// AnswerEmpty answers the right status without a body.
	AnswerEmpty Action = "answer-empty"
	// AnswerOverlong gives the right answer and Body behind its end, in the same
	// breath, and closes the connection. With Status 204 the answer has no body
	// of its own.
	AnswerOverlong Action = "answer-overlong"
	// NoLocation leaves out an upload's Location header; the body has it.
	NoLocation Action = "no-location"
	// PlainLocation gives an upload's location as http.
	PlainLocation Action = "location-http"
	// ForeignLocation gives URL, or one of another host, as the location.
	ForeignLocation Action = "location-foreign"
)

// Actions that answer a valid message 200 with an error inside and keep nothing.
const (
	ErrorOutcome         Action = "error-outcome"          // an OperationOutcome with severity error
	ErrorEntry           Action = "error-entry"            // entry[0].response.status "400 Bad Request"
	ErrorHeaderFatal     Action = "error-header-fatal"     // MessageHeader.response.code fatal-error
	ErrorHeaderTransient Action = "error-header-transient" // MessageHeader.response.code transient-error
	ErrorMeta            Action = "error-meta"             // Meta.Errors[]
)

var actions = []Action{
	AnswerStatus, DelayBody, Redirect, CutBeforeBody, HangBeforeBody,
	SlowRead, CutMidBody, HangMidBody, CutAfterBody, StatusAfterBody, Hang,
	DelayAnswer, CutAfterProcessing, StatusAfterProcessing, HangAfterProcessing,
	AnswerUnreadable, AnswerCut, AnswerOversized, AnswerEmpty, AnswerOverlong, NoLocation, PlainLocation, ForeignLocation,
	ErrorOutcome, ErrorEntry, ErrorHeaderFatal, ErrorHeaderTransient, ErrorMeta,
}

// Kind is a class of requests a fault may be for.
type Kind string

const (
	AnyRequest     Kind = "any"
	TokenRequest   Kind = "token"
	UploadRequest  Kind = "upload"
	MessageRequest Kind = "message"
	// PlatformRequest is one to the Platform API; its operations are "environments",
	// "log" and "search".
	PlatformRequest Kind = "platform"
)

// Match says which requests a fault is for; every field that is set must hold.
//
// Destination and Operation of a Data Model message stand in its body: a fault
// that names one of them there is chosen after the body was read, so that its
// actions before the body happen after it.
type Match struct {
	// Kind is empty or AnyRequest for all.
	Kind Kind `json:"kind,omitzero"`
	// Destination is a slug or Data Model destination id; "redox" for Binary.
	Destination string `json:"destination,omitzero"`
	// Operation is as in Message.Operation; "token", "binary" and "upload"
	// for the others.
	Operation  string `json:"operation,omitzero"`
	PathPrefix string `json:"path_prefix,omitzero"`
}

// Fault is one rule of misbehavior. The first rule that matches and fires
// decides a request; at most one does.
type Fault struct {
	Match Match `json:"match,omitzero"`
	// Skip lets the first n matching requests pass.
	Skip int `json:"skip,omitzero"`
	// Times is how often it fires; 0 is for ever.
	Times int `json:"times,omitzero"`
	// Probability in (0,1] of firing for each match; 0 means always.
	Probability float64 `json:"probability,omitzero"`
	// Seed makes the chances repeatable.
	Seed   uint64 `json:"seed,omitzero"`
	Action Action `json:"action"`
	// Status defaults to 503 where an action needs one.
	Status int               `json:"status,omitzero"`
	Header map[string]string `json:"header,omitzero"`
	Body   string            `json:"body,omitzero"`
	// Delay in JSON is a Go duration string, "1.5s".
	Delay time.Duration `json:"delay,omitzero"`
	// Bytes is a rate, a position or a size, as the action says.
	Bytes int64  `json:"bytes,omitzero"`
	URL   string `json:"url,omitzero"`
}

// FaultState is a fault and how often it was met.
type FaultState struct {
	Fault Fault `json:"fault"`
	// Matched counts the requests it was for, Fired those it decided.
	Matched int `json:"matched"`
	Fired   int `json:"fired"`
}

type rule struct {
	FaultState
	chance *rand.Rand
}

func (f *Fault) check() error {
	switch {
	case !slices.Contains(actions, f.Action):
		return fmt.Errorf("redoxsim: fault: no such action %q; there are %q", f.Action, actions)
	case f.Match.Kind != "" && !slices.Contains([]Kind{AnyRequest, TokenRequest, UploadRequest, MessageRequest, PlatformRequest}, f.Match.Kind):
		return fmt.Errorf("redoxsim: fault: no such kind %q", f.Match.Kind)
	case f.Skip < 0 || f.Times < 0 || f.Delay < 0 || f.Bytes < 0:
		return errors.New("redoxsim: fault: negative number")
	case f.Probability < 0 || f.Probability > 1:
		return errors.New("redoxsim: fault: probability outside 0..1")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("redoxsim: fault: status outside 200..599")
	case (f.Action == DelayBody || f.Action == DelayAnswer) && f.Delay == 0:
		return errors.New("redoxsim: fault: a delay is needed")
	case f.Action == SlowRead && f.Bytes == 0:
		return errors.New("redoxsim: fault: bytes a second are needed")
	case f.Action == Redirect && f.URL == "":
		return errors.New("redoxsim: fault: a URL is needed")
	}
	if f.Status == 0 {
		f.Status = http.StatusServiceUnavailable
	}
	return nil
}

// Inject adds faults after those already there.
func (s *Server) Inject(faults ...Fault) error {
	made, err := rulesOf(faults)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, made...)
	return nil
}

// Replace puts faults in the place of all there are: no request falls between
// the old ones and the new. Requests already under one go on with it.
func (s *Server) Replace(faults ...Fault) error {
	made, err := rulesOf(faults)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = made
	return nil
}

func rulesOf(faults []Fault) ([]*rule, error) {
	made := make([]*rule, len(faults))
	for i, f := range faults {
		if err := f.check(); err != nil {
			return nil, err
		}
		made[i] = &rule{FaultState: FaultState{Fault: f}, chance: rand.New(rand.NewPCG(f.Seed, 0))}
	}
	return made, nil
}

// ClearFaults removes all faults. Requests already under one go on with it.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Faults lists the faults and their counts.
func (s *Server) Faults() []FaultState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]FaultState, len(s.rules))
	for i, r := range s.rules {
		list[i] = r.FaultState
	}
	return list
}

// needsBody says that the rule cannot be judged before a Data Model body is read.
func (m Match) needsBody() bool { return m.Destination != "" || m.Operation != "" }

func (m Match) covers(t target) bool {
	return (m.Kind == "" || m.Kind == AnyRequest || m.Kind == t.kind) &&
		(m.Destination == "" || slices.Contains(t.destinations, m.Destination)) &&
		(m.Operation == "" || m.Operation == t.operation) &&
		strings.HasPrefix(t.path, m.PathPrefix)
}

// pick finds the fault for a request. late is the second look at a Data Model
// message, when its body has been read: only the rules that had to wait.
func (s *Server) pick(t target, late bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		waits := t.dataModel && r.Fault.Match.needsBody()
		if waits != late || !r.Fault.Match.covers(t) {
			continue
		}
		r.Matched++
		f := r.Fault
		if r.Matched <= f.Skip || (f.Times > 0 && r.Fired >= f.Times) {
			continue
		}
		if f.Probability > 0 && r.chance.Float64() >= f.Probability {
			continue
		}
		r.Fired++
		s.announce()
		return &f
	}
	return nil
}

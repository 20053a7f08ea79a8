package redoxclient

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// verdict is what an answer's body says, read leniently where only a receipt
// depends on it and strictly where success does.
type verdict struct {
	// unreadable is set when the body is not a JSON object, or when a part that
	// decides over success has a shape nobody knows.
	unreadable error
	empty      bool
	// refused: an OperationOutcome with error or fatal, an entry with a status
	// of 400 or more, a fatal-error, Meta.Errors, or errorDetail.
	refused bool
	// fatal and transient are MessageHeader.response.code.
	fatal, transient bool
	codes            []string
	location         string
	logIDs           []string
	errorIDs         []string
}

// maxCodes and maxLogIDs bound what an answer can put into an error or receipt.
const (
	maxCodes    = 8
	maxLogIDs   = 16
	maxErrorIDs = 8
)

var errShape = errors.New("the answer's body is not JSON of a known shape")

// tolerant: a repeated name or a bad UTF-8 byte in some text is no reason to
// call an answer unreadable, since that would make its outcome unknown.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

type wireResource struct {
	ResourceType jsontext.Value `json:"resourceType"`
	Issue        jsontext.Value `json:"issue"`
	Response     jsontext.Value `json:"response"`
	Entry        jsontext.Value `json:"entry"`
	Meta         jsontext.Value `json:"Meta"`
	ErrorDetail  jsontext.Value `json:"errorDetail"`
}

type wireIssue struct {
	Severity string         `json:"severity"`
	Code     jsontext.Value `json:"code"`
}

type wireEntry struct {
	Resource jsontext.Value `json:"resource"`
	Response *struct {
		Status   jsontext.Value `json:"status"`
		Location jsontext.Value `json:"location"`
		Outcome  jsontext.Value `json:"outcome"`
	} `json:"response"`
}

type wireMeta struct {
	Errors jsontext.Value `json:"Errors"`
	Logs   jsontext.Value `json:"Logs"`
}

// parseAnswer reads every shape Redox is known to answer with. It never fails:
// what cannot be read is said by unreadable.
func parseAnswer(body []byte) *verdict {
	v := &verdict{}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		v.empty = true
		return v
	}
	var top wireResource
	if body[0] != '{' || json.Unmarshal(body, &top, tolerant) != nil {
		v.unreadable = errShape
		return v
	}
	v.resource(top)
	v.entries(top.Entry)
	v.meta(top.Meta)
	v.refused = v.refused || says(top.ErrorDetail)
	return v
}

// resource reads an OperationOutcome or a MessageHeader; others say nothing.
func (v *verdict) resource(r wireResource) {
	switch text(r.ResourceType) {
	case "OperationOutcome", "":
		v.issues(r.Issue)
	case "MessageHeader":
		v.messageHeader(r.Response)
	}
}

func (v *verdict) issues(raw jsontext.Value) {
	var issues []wireIssue
	if !v.decode(raw, &issues) {
		return
	}
	for _, issue := range issues {
		severity := strings.ToLower(issue.Severity)
		v.refused = v.refused || severity == "error" || severity == "fatal"
		if code := text(issue.Code); slices.Contains(issueTypes, code) {
			v.addCode(code)
		}
	}
}

func (v *verdict) addCode(code string) {
	if len(v.codes) < maxCodes && !slices.Contains(v.codes, code) {
		v.codes = append(v.codes, code)
	}
}

func (v *verdict) messageHeader(raw jsontext.Value) {
	var response struct {
		Code string `json:"code"`
	}
	if !v.decode(raw, &response) {
		return
	}
	v.transient = v.transient || response.Code == "transient-error"
	v.fatal = v.fatal || response.Code == "fatal-error"
}

func (v *verdict) entries(raw jsontext.Value) {
	var entries []wireEntry
	if !v.decode(raw, &entries) {
		return
	}
	for i, entry := range entries {
		v.inner(entry.Resource)
		if entry.Response == nil {
			continue
		}
		v.inner(entry.Response.Outcome)
		v.refused = v.refused || entryRefused(text(entry.Response.Status))
		if i == 0 {
			v.location = text(entry.Response.Location)
		}
	}
}

func (v *verdict) inner(raw jsontext.Value) {
	var r wireResource
	if v.decode(raw, &r) && says(r.ResourceType) {
		v.resource(r)
	}
}

// entryRefused reads a status such as "201 Created" or "422".
func entryRefused(status string) bool {
	return len(status) >= 3 && status[0] >= '4' && status[0] <= '9' &&
		digits(status[:3]) && (len(status) == 3 || status[3] == ' ')
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

func (v *verdict) meta(raw jsontext.Value) {
	var meta wireMeta
	if !v.decode(raw, &meta) {
		return
	}
	v.refused = v.refused || says(meta.Errors)
	v.errorIDs = idsOf(meta.Errors, maxErrorIDs, errorID)
	v.logIDs = idsOf(meta.Logs, maxLogIDs, safeID)
}

// decode reports whether raw was there and read; a shape that does not fit
// makes the answer unreadable.
func (v *verdict) decode(raw jsontext.Value, into any) bool {
	if !says(raw) {
		return false
	}
	if json.Unmarshal(raw, into, tolerant) != nil {
		v.unreadable = errShape
		return false
	}
	return true
}

// says reports whether raw is there and neither null nor empty nor false.
func says(raw jsontext.Value) bool {
	switch string(compact(raw)) {
	case "", "null", "[]", "{}", `""`, "false":
		return false
	}
	return true
}

// compact drops white space from small values; no large one is empty.
func compact(raw jsontext.Value) []byte {
	if len(raw) > 64 {
		return raw
	}
	return bytes.Join(bytes.Fields(raw), nil)
}

// text is a JSON string or number as a string, and nothing for anything else.
func text(raw jsontext.Value) string {
	switch raw.Kind() {
	case '"':
		var s string
		if json.Unmarshal(raw, &s, tolerant) == nil {
			return s
		}
	case '0':
		return string(bytes.TrimSpace(raw))
	}
	return ""
}

// issueTypes is the FHIR value set issue-type (R4 and R5). Only these are
// passed on: a code outside of it is text of unknown content.
var issueTypes = []string{
	"invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired",
	"forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found",
	"deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict",
	"limited-filter", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete",
	"throttled", "informational", "success",
}

package redoxclient

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// verdict is what an answer's body says, read leniently where only a receipt
// depends on it and strictly where success does.
type verdict struct {
	// unreadable is set when the body is not a JSON object, or when a part that
	// decides over success has a shape nobody knows.
	unreadable error
	empty      bool
	refusals
	// fatal and transient are MessageHeader.response.code.
	fatal, transient bool
	codes            []string
	paths            []string
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

type wireResource struct {
	ResourceType repeats `json:"resourceType"`
	Issue        repeats `json:"issue"`
	Response     repeats `json:"response"`
	Entry        repeats `json:"entry"`
	Meta         repeats `json:"Meta"`
	ErrorDetail  repeats `json:"errorDetail"`
}

type wireIssue struct {
	Severity repeats `json:"severity"`
	Code     repeats `json:"code"`
	// Expression is where the issue is, as FHIRPath.
	Expression repeats `json:"expression"`
}

type wireEntry struct {
	Resource repeats `json:"resource"`
	Response repeats `json:"response"`
}

// wireResponse is an entry's; wireHeader is that of a MessageHeader.
type wireResponse struct {
	Status   repeats `json:"status"`
	Location repeats `json:"location"`
	Outcome  repeats `json:"outcome"`
}

type wireHeader struct {
	Code repeats `json:"code"`
}

type wireMeta struct {
	Errors repeats `json:"Errors"`
	Logs   repeats `json:"Logs"`
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
	if slices.ContainsFunc(top.ErrorDetail, says) {
		v.refuse(Permanent)
	}
	return v
}

// resource reads an OperationOutcome or a MessageHeader; others say nothing.
func (v *verdict) resource(r wireResource) {
	types := r.ResourceType.texts()
	if len(types) == 0 || slices.Contains(types, "OperationOutcome") || slices.Contains(types, "") {
		v.issues(r.Issue)
	}
	if slices.Contains(types, "MessageHeader") {
		v.messageHeader(r.Response)
	}
}

func (v *verdict) issues(raw repeats) {
	for _, issue := range slices.Concat(decodeEach[[]wireIssue](v, raw)...) {
		codes := issue.Code.texts()
		for _, severity := range decodeEach[string](v, issue.Severity) {
			if severity = strings.ToLower(severity); severity == "error" || severity == "fatal" {
				v.refuse(issueKind(codes))
			}
		}
		for _, code := range codes {
			v.addCode(code)
		}
		for _, path := range issue.Expression.texts() {
			v.addPath(path)
		}
		for _, list := range decodeEach[[]string](&verdict{}, issue.Expression) {
			for _, path := range list {
				v.addPath(path)
			}
		}
	}
}

func (v *verdict) addCode(code string) {
	if len(v.codes) < maxCodes && slices.Contains(issueTypes, code) && !slices.Contains(v.codes, code) {
		v.codes = append(v.codes, code)
	}
}

func (v *verdict) messageHeader(raw repeats) {
	for _, response := range decodeEach[wireHeader](v, raw) {
		codes := decodeEach[string](v, response.Code)
		v.transient = v.transient || slices.Contains(codes, "transient-error")
		v.fatal = v.fatal || slices.Contains(codes, "fatal-error")
	}
}

func (v *verdict) entries(raw repeats) {
	for i, entry := range slices.Concat(decodeEach[[]wireEntry](v, raw)...) {
		v.inner(entry.Resource)
		for _, response := range decodeEach[wireResponse](v, entry.Response) {
			v.inner(response.Outcome)
			for _, status := range response.Status.texts() {
				v.entryStatus(statusOf(status))
			}
			if locations := response.Location.texts(); i == 0 && len(locations) > 0 {
				v.location = locations[len(locations)-1]
			}
		}
	}
}

func (v *verdict) inner(raw repeats) {
	for _, r := range decodeEach[wireResource](v, raw) {
		if slices.ContainsFunc(r.ResourceType, says) {
			v.resource(r)
		}
	}
}

// statusOf reads a status such as "201 Created" or "422"; 0 is none.
func statusOf(status string) int {
	if len(status) < 3 || !digits(status[:3]) || len(status) > 3 && status[3] != ' ' {
		return 0
	}
	n, _ := strconv.Atoi(status[:3]) //nolint:errcheck // three digits
	return n
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

func (v *verdict) meta(raw repeats) {
	for _, meta := range decodeEach[wireMeta](v, raw) {
		if slices.ContainsFunc(meta.Errors, says) {
			v.refuse(Permanent)
		}
		for _, errors := range meta.Errors {
			v.errorIDs = append(v.errorIDs, idsOf(errors, maxErrorIDs-len(v.errorIDs), errorID)...)
		}
		for _, logs := range meta.Logs {
			v.logIDs = append(v.logIDs, idsOf(logs, maxLogIDs-len(v.logIDs), safeID)...)
		}
	}
}

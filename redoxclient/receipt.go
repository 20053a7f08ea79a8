package redoxclient

import (
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

const (
	maxLocation = 1024
	maxID       = 128
)

// Receipt says that Redox has durably queued a message. It does not say that
// the message was delivered. Every field but Status may be empty.
type Receipt struct {
	// Status is the HTTP status, 2xx.
	Status int
	// Location names the resource that was made, as a URL or a relative
	// reference without a query, at most 1 KiB. Production answers are not
	// documented; the sandbox gives one.
	Location string
	// LogIDs name the message in Redox's logs, one a destination, at most 16.
	LogIDs []string
	// TraceID is Redox-Trace-Id, an undocumented header seen on live answers.
	TraceID string
}

// idsOf takes the "ID" of every element, as far as safe lets it through. What
// has another shape is passed over: only a receipt or an error's text depends
// on it.
func idsOf(raw jsontext.Value, most int, safe func(string) string) (ids []string) {
	var list []jsontext.Value
	if json.Unmarshal(raw, &list, tolerant) != nil {
		return nil
	}
	for _, element := range list {
		var named struct {
			ID jsontext.Value `json:"ID"`
		}
		if len(ids) == most || json.Unmarshal(element, &named, tolerant) != nil {
			continue
		}
		if id := safe(text(named.ID)); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// safeID lets an id of 1-128 of [A-Za-z0-9._:-] through and drops others.
func safeID(s string) string {
	if len(s) > maxID || strings.ContainsFunc(s, func(r rune) bool { return !idRune(r) }) {
		return ""
	}
	return s
}

// errorID lets a UUID or a whole number of at most 20 digits through: an error's
// text must not come in by way of its ID.
func errorID(s string) string {
	if s != "" && len(s) <= 20 && digits(s) || len(s) == 36 && uuid.Validate(s) == nil {
		return s
	}
	return ""
}

func idRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-", r)
}

// safeLocation lets a URL or relative reference without user, query and
// fragment through, made of id characters, "/" and "$" alone, and drops others.
func safeLocation(s string) string {
	if s == "" || len(s) > maxLocation {
		return ""
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !idRune(r) && r != '/' && r != '$' }) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	switch {
	case u.Scheme == "https" && u.Host != "" && u.Opaque == "":
		return s
	case u.Scheme == "http" && loopback(u.Hostname()):
		return s
	case u.Scheme == "" && u.Host == "":
		return s
	}
	return ""
}

package redoxsim

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	idPattern = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	// relative is a reference Type/id, restfulTail the same at the end of a URL.
	relative    = regexp.MustCompile(`^[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}$`)
	restfulTail = regexp.MustCompile(`[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}$`)
	scheme      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]*:[^\s]+$`)
	instants    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)
)

func contains(set []string, s string) bool { return slices.Contains(set, s) }

func text(v any) string { s, _ := v.(string); return s }

func list(v any) []any { l, _ := v.([]any); return l }

func sorted(o object) []string { return slices.Sorted(maps.Keys(o)) }

// pointer escapes a name for a JSON pointer.
func pointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func isAbsolute(s string) bool { return scheme.MatchString(s) }

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// isFullURL: absolute, not of one version (bdl-8), and a urn:uuid in lower case.
func isFullURL(s string) bool {
	if id, ok := strings.CutPrefix(s, "urn:uuid:"); ok {
		parsed, err := uuid.Parse(id)
		return err == nil && parsed.String() == id
	}
	return isAbsolute(s) && !strings.Contains(s, "/_history/")
}

// isInstant: FHIR R4, instant: seconds and a zone are there.
func isInstant(v any) bool {
	s := text(v)
	_, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && instants.MatchString(s)
}

// isDate: FHIR R4, date: year, year and month, or a whole day.
func isDate(v any) bool {
	for _, layout := range []string{"2006", "2006-01", time.DateOnly} {
		if _, err := time.Parse(layout, text(v)); err == nil {
			return true
		}
	}
	return false
}

// isDateTime: FHIR R4, dateTime.
func isDateTime(v any) bool { return isDate(v) || isInstant(v) }

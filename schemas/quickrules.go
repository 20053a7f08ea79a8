package schemas

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// The rules of single fields, as job.v1.schema.json has them.

func isTransfer(s string) bool {
	return slices.Contains([]Transfer{Auto, Upload, Embed}, Transfer(s))
}

func isEnvironment(s string) bool {
	return slices.Contains([]Environment{Development, Staging, Production}, Environment(s))
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isSHA256(s string) bool {
	return len(s) == 64 && every(s, func(c byte) bool { return isHex(c) && (c < 'A' || c > 'F') })
}

func isBucket(s string) bool {
	small := func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }
	return len(s) >= 3 && len(s) <= 63 && small(s[0]) && small(s[len(s)-1]) &&
		every(s, func(c byte) bool { return small(c) || c == '.' || c == '-' })
}

// isKey counts bytes, as jobRules does: the schema's characters are never more.
func isKey(s string) bool { return s != "" && len(s) <= maxKey }

func isPin(s string) bool {
	return s != "" && len(s) <= 1024 && every(s, func(c byte) bool { return '!' <= c && c <= '~' })
}

func isMIMEType(s string) bool {
	bare, parameter, more := strings.Cut(s, ";")
	kind, sub, ok := strings.Cut(bare, "/")
	return ok && len(s) <= 255 && isMIMEName(kind) && isMIMEName(sub) && (!more || isCharset(strings.TrimPrefix(parameter, " ")))
}

// isCharset is the parameter charset with a name of up to 40 characters (RFC
// 2978, 2.3).
func isCharset(s string) bool {
	const key = "charset="
	if len(s) <= len(key) || len(s) > len(key)+40 || !strings.EqualFold(s[:len(key)], key) {
		return false
	}
	return plain(s[len(key)]) && s[len(key)] != '-' &&
		every(s[len(key):], func(c byte) bool { return plain(c) || strings.IndexByte("_:.+", c) >= 0 })
}

// isMIMEName is RFC 6838's restricted-name without its length.
func isMIMEName(s string) bool {
	alphanumeric := func(c byte) bool { return plain(c) && c != '-' }
	return s != "" && alphanumeric(s[0]) &&
		every(s, func(c byte) bool { return alphanumeric(c) || strings.IndexByte("!#$&^_.+-", c) >= 0 })
}

func isName(s string) bool {
	return s != "" && (len(s) <= 255 || utf8.RuneCountInString(s) <= 255) && !strings.ContainsFunc(s, isControl)
}

func isTitle(s string) bool { return isName(s) && !strings.ContainsAny(s, `/\`) }

func isControl(r rune) bool { return r < 0x20 || 0x7f <= r && r <= 0x9f }

// isStrictTime refuses what Go's time takes though RFC 3339 does not: a comma
// before the fraction, an hour of one digit, an offset of 24:00 or 1:60.
func isStrictTime(s string) bool {
	if len(s) < 20 || s[13] != ':' || strings.Contains(s, ",") {
		return false
	}
	if strings.HasSuffix(s, "Z") {
		return true
	}
	offset := s[len(s)-5:]
	return offset[:2] < "24" && offset[3:] < "60"
}

func isResourceType(s string) bool {
	letter := func(c byte) bool { return plain(c) && c != '-' && (c < '0' || c > '9') }
	return s != "" && len(s) <= 64 && 'A' <= s[0] && s[0] <= 'Z' && every(s, letter)
}

func every(s string, rule func(c byte) bool) bool {
	for i := range len(s) {
		if !rule(s[i]) {
			return false
		}
	}
	return true
}

// whole holds the fields to each other.
func (q *quick) whole() bool {
	job := &q.job
	if job.ID == "" || job.Operation == "" || !q.seen.destination || job.Destination.Environment == "" ||
		!q.seen.files || !q.seen.message || !q.seen.requested {
		return false
	}
	if job.After == job.ID {
		return false
	}
	if !job.ExpiresAt.IsZero() && !job.ExpiresAt.After(job.RequestedAt) {
		return false
	}
	to := job.Destination
	main := fhirResource(job.Operation)
	if main == "" {
		return to.ID != "" && to.Slug == ""
	}
	return to.Slug != "" && to.ID == "" && to.Name == "" &&
		!q.fhir.broken && q.fhir.patient == "Patient" && q.fhir.resource == main
}

// fhirResource is the main resource of a FHIR operation, "" of the others.
func fhirResource(operation string) string {
	switch operation {
	case DocumentReferenceCreate:
		return "DocumentReference"
	case DiagnosticReportCreate, DiagnosticReportAmend:
		return "DiagnosticReport"
	case ObservationCreate:
		return "Observation"
	}
	return ""
}

package compose

import (
	"strings"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/schemas"
)

// Namespace is the UUID v5 namespace of all identifiers that Chartpost makes.
// It is itself the v5 UUID of https://github.com/chartpost/chartpost in the URL
// namespace of RFC 9562 and never changes: whoever knows a job's destination and
// id can compute the identifiers of its message, and a message that was sent twice
// is recognized by them.
//
// An identifier's name is "<destination>/<job id>/<role>". The role is "bundle",
// "document" (the masterIdentifier, identifier or DocumentID), "header", "patient",
// "resource" or "entries/<index>". Destinations and job ids hold no slash, so no two
// names are alike.
const Namespace = "af7c0f42-0589-5e7a-93c5-c63c92cee840"

const urnUUID = "urn:uuid:"

// derive gives the identifier of a role in a job's message.
func derive(key schemas.JobKey, role string) string { return deriveName(key.String() + "/" + role) }

func deriveName(name string) string {
	return uuid.NewSHA1(namespace, []byte(name)).String()
}

var (
	namespace = uuid.MustParse(Namespace)
	// noSource is the endpoint of jobs that name no source.
	noSource = urnUUID + deriveName("source")
)

// endpoint is MessageHeader.source.endpoint: the Redox source, or one fixed
// UUID where the job names none.
func endpoint(sourceID string) string {
	if id, ok := canonicalUUID(sourceID); ok {
		return urnUUID + id
	}
	return noSource
}

// canonicalUUID gives s in lower case if it is a UUID of 36 characters.
func canonicalUUID(s string) (string, bool) {
	if len(s) != 36 || uuid.Validate(s) != nil {
		return "", false
	}
	return strings.ToLower(s), true
}

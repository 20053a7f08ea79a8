package redoxclient

import (
	"errors"
	"mime"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// maxURL bounds every URL that is believed, in bytes.
const maxURL = 2048

var (
	// slugShape is the unreserved characters of RFC 3986, without a leading dot:
	// Redox does not say what a slug may hold, and "." and ".." are no segments.
	slugShape = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}$`)
	pathShape = regexp.MustCompile(`^[A-Z][A-Za-z]{0,63}/\$[a-z][a-z-]{0,63}$`)
	hostShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,252})(:[0-9]{1,5})?$`)
)

// parseBase checks a configured URL: https, or http on a loopback host, with
// nothing but scheme, host and path. Its errors do not quote the URL, which
// may carry a password.
func parseBase(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("is required")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || !u.IsAbs() || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("is not an absolute URL")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not have a query or fragment")
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, errors.New("must be an https URL")
	case !loopback(u.Hostname()):
		return nil, errors.New("must be an https URL: plain http is for loopback hosts only")
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath keeps a relative path relative
	}
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// errBlobURL is deliberately one sentence for every reason: the URL comes from
// outside and is not quoted.
var errBlobURL = errors.New("a URL on a host that is not allowed, or not a plain https URL")

// checkBlobURL believes https URLs without user or fragment whose host is one
// of hosts ("host" stands for port 443, "host:port" for that port).
func checkBlobURL(raw string, hosts []string) (string, error) {
	if raw == "" || len(raw) > maxURL || !plainURLText(raw) {
		return "", errBlobURL
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", errBlobURL
	}
	if strings.Trim(u.Path, "/") == "" {
		return "", errBlobURL
	}
	host := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && port != "443" {
		host = strings.ToLower(u.Host)
	}
	for _, allowed := range hosts {
		if host == allowed {
			return raw, nil
		}
	}
	return "", errBlobURL
}

// plainURLText reports whether s holds only printable ASCII that needs no
// escaping in a URL, JSON string or log line.
func plainURLText(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}

// checkContentType accepts a media type that is safe as a header.
func checkContentType(s string) bool {
	if len(s) > 255 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(mediaType, "/") {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// checkSourceID accepts a UUID in its usual form of 36 characters, or nothing.
func checkSourceID(s string) bool {
	if s == "" {
		return true
	}
	return len(s) == 36 && uuid.Validate(s) == nil
}

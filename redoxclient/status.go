package redoxclient

import "net/http"

// judgeStatus is what a status other than a success means. whole is whether
// the request's body had been handed over.
//
// Redox's own list of status codes goes first (Redox docs, "Status codes"): 400,
// 401, 403 to 405, 408, 409, 413, 415, 416, 422, 429, 500, 502 to 504. For the
// others the RFC decides that defines the code, because a proxy or a firewall
// between may answer with any of them. Whether a code that says neither that
// the request was processed nor that it was not is safe to repeat is a guess,
// and is not made: for a message the outcome is unknown.
func judgeStatus(op Op, status int, whole bool) Kind {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusTooManyRequests:
		return RateLimited
	case http.StatusUnauthorized:
		return Credentials
	}
	switch {
	case passes(status):
		return Retryable
	case status >= 200 && status < 500, neverServed(status): // a 2xx is judged here for a token alone: one without a token
		return Permanent
	case op.Message() && whole:
		// 504 by Redox's own word ("took too long"); the others are not listed
		// by Redox, and come from proxies that may have passed the message on
		// (our inference). A 101 switches to a protocol that nobody asked for.
		return UnknownOutcome
	}
	return Retryable
}

// passes reports whether status says that the request was not processed, for a
// reason that may be gone the next time.
func passes(status int) bool {
	switch status {
	case http.StatusRequestTimeout, // Redox: retry
		http.StatusInternalServerError, // Redox: retry
		http.StatusBadGateway,          // Redox: dropped inside, during an update for example
		http.StatusServiceUnavailable:  // Redox: retry
		return true
	case http.StatusProxyAuthRequired, // RFC 9110, 15.5.8: the proxy wants its own credentials first
		http.StatusMisdirectedRequest,            // RFC 9110, 15.5.20: may be repeated over another connection
		http.StatusLocked,                        // RFC 4918, 11.3
		http.StatusTooEarly,                      // RFC 8470, 5.2: may be repeated
		http.StatusInsufficientStorage,           // RFC 4918, 11.5: temporary
		http.StatusNetworkAuthenticationRequired: // RFC 6585, 6: never sent by the server itself
		return true
	}
	return false
}

// neverServed reports whether a 5xx says that the server serves no request of
// this kind: it did not process this one and will not process the next.
func neverServed(status int) bool {
	switch status {
	case http.StatusNotImplemented, // RFC 9110, 15.6.2
		http.StatusHTTPVersionNotSupported, // RFC 9110, 15.6.6
		http.StatusNotExtended:             // RFC 2774, 7
		return true
	}
	return false
}

// statusHint is what an operator can do about a status that the network between
// gives, and not Redox.
func statusHint(status int) string {
	switch status {
	case http.StatusProxyAuthRequired:
		return "a proxy on the way wants credentials of its own: see HTTPS_PROXY"
	case http.StatusNetworkAuthenticationRequired:
		return "the network on the way wants a login"
	}
	return ""
}

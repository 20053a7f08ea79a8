// Package redoxclient talks HTTP to Redox: it takes tokens, uploads files and
// sends messages, and judges every answer once.
//
// It knows nothing of jobs, queues or retries. One call is one attempt (one
// more when Redox refuses a token, and one when something on the way refuses
// "Expect: 100-continue"); the caller decides from [Error.Kind] whether to
// make another.
//
// # What Redox documents
//
// The token flow (a signed client assertion, RS384 or ES384, for a token of
// about five minutes), the paths under /fhir/R4, the environment flag, the
// Redox-source-Id header, 30 MB a file, 40 MB a request, the meaning of the
// status codes, that a 2xx means "durably queued" and not "delivered", that
// such a message must not be sent again, that a 2xx can still hide errors, and
// that a URL of an uploaded file comes in the Location header.
//
// Of the Data Model API: JSON to /endpoint, Meta.Logs and Meta.Errors in the
// answer, a multipart form with a part "file" to /upload at the blob host, and
// the "URI" in the answer to it.
//
// # What was seen in working clients and is not promised
//
// The Redox-Trace-Id header, the Bundle a sandbox answers with (entry[0]
// response.location), errorDetail bodies, renewal a minute before expiry, that
// the form of an upload needs a Content-Length.
//
// # What is our inference
//
// Sending the file's own media type at upload; reading the upload's URL from a
// JSON body when there is no Location header, and the other way round where the
// body is documented; percent-encoded file names in forms (RFC 7578 allows it,
// Redox says nothing); Redox-source-Id at the blob host; an empty 2xx as
// success, unless the end of the connection alone says that it is empty; a 504,
// and a connection that breaks once the whole body was handed over, as an
// outcome that nobody knows ([UnknownOutcome]); a 5xx that Redox does not list
// likewise; which errors inside a 2xx pass; an answer timeout of five minutes,
// since Redox gives up with a 504 after "a couple of minutes"; invalid_client as
// a fault of configuration.
//
// # What never leaves
//
// Bodies, file names, tokens, assertions and URLs are never part of an error's
// text. What a server says is only passed on when it fits a narrow set of
// characters or a list of known codes; anything else is dropped. The underlying
// cause of an error can be reached with errors.As but is never printed, because
// the texts of net/http hold URLs.
//
// One way out is not this package's to close: net/http writes what a server
// sends unasked, such as a body after a 204 or more of one than its
// Content-Length says, to the standard logger of package log, and quotes it. A
// program that keeps patient data out of its logs calls log.SetOutput with a
// writer that drops all texts before the first request, and slog.SetDefault
// never after it, which leads them to its handler.
package redoxclient

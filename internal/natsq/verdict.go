package natsq

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
)

// verdict is what an error of the queue means: its stable code, and what to do. Most
// are tried again for as long as a caller has time, since a person can cure them
// meanwhile. Where final is set, no wait can: the message itself is at fault.
type verdict struct {
	code, text string
	final      bool
}

// The verdicts. Other errors pass by themselves, as an election does.
var (
	tooLarge     = verdict{"queue_max_payload", "the message is larger than the NATS server takes; raise its max_payload, and replay the job", true}
	forbidden    = verdict{"queue_permission", "the NATS user lacks a permission, which the log names; see docs/permissions.md", false}
	noStream     = verdict{"queue_stream_missing", "a stream is missing, or JetStream is off; run chartpost setup, or turn it on", false}
	layout       = verdict{"queue_layout", "a stream has other settings than Chartpost's; run chartpost setup", false}
	sizeLimit    = verdict{"queue_max_message_size", "the stream has a limit of the size of messages; remove its max_msg_size", false}
	consumers    = verdict{"queue_consumer_limit", "the stream or the account allows no more consumers; run chartpost setup with a larger --lanes, or raise the account's limit", false}
	full         = verdict{"queue_full", "the storage of JetStream, or the limit of the account or stream, is used up; make room", false}
	jetStreamOff = verdict{"queue_no_jetstream", "JetStream is off, on the server or for the account; turn it on", false}
	login        = verdict{"queue_credentials", "the NATS server does not take the credentials; renew them", false}
	away         = verdict{"queue_unavailable", "the queue does not answer; see the NATS servers", false}
)

// verdictOf judges an error of the queue. denied says that the server has refused a
// permission a moment ago: it tells of that apart, and the request itself times out.
func verdictOf(err error, denied bool) verdict {
	api, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return tooLarge
	case errors.Is(err, errOtherStream), errors.Is(err, ErrOldLayout):
		return layout
	case errors.Is(err, nats.ErrPermissionViolation):
		return forbidden
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return login
	case answered:
		return verdictOfCode(api.ErrorCode)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return noStream
	case denied && (errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)):
		return forbidden
	}
	return away
}

// verdictOfCode judges what JetStream answered. NATS: the server's list of error codes.
func verdictOfCode(code jetstream.ErrorCode) verdict {
	switch code {
	case jetstream.JSErrCodeStreamNotFound:
		return noStream
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return jetStreamOff
	case codeMessageSize:
		return sizeLimit
	case codeConsumers:
		return consumers
	case codeAccountLimits, codeResources, codeStorage, codeStoreFailed:
		return full
	case codeNoTTL, codeNoSchedules, codeBadTarget:
		return layout
	}
	return away
}

const (
	codeConsumers   = 10026
	codeMessageSize = 10054
	codeNoSchedules = 10188
	codeBadTarget   = 10190
)

// judged is an error of the queue as a worker shows it.
func (c *Conn) judged(err error) error {
	if err == nil {
		return nil
	}
	v := verdictOf(err, c.troubles.denied())
	f := &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: v.code, Text: v.text, Cause: err}
	if v.final {
		f.Kind, f.Scope = fault.Permanent, fault.Job
	}
	return f
}

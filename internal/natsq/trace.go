package natsq

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
)

// traced makes a message that carries the trace of ctx, if there is one. A job
// that a schedule brings back has the schedule's headers.
func traced(ctx context.Context, subject string) *nats.Msg {
	msg := nats.NewMsg(subject)
	if t := schemas.TraceOf(ctx); t != "" {
		msg.Header.Set(schemas.HeaderTrace, string(t))
	}
	return msg
}

// traceOf reads the trace of a message. Some clients write the header as HTTP
// would, with a capital.
func traceOf(header nats.Header) schemas.Trace {
	if t := schemas.ParseTrace(header.Get(schemas.HeaderTrace)); t != "" {
		return t
	}
	return schemas.ParseTrace(header.Get("Traceparent"))
}

package schemas

import (
	"context"
	"strconv"
	"strings"
)

// HeaderTrace is the header by which a trace crosses the queue: on jobs, on the
// events, schedules and dead letters that come of them, and on a dead letter's
// job that is sent again.
const HeaderTrace = "traceparent"

// Trace names a trace and the span that handed it on: the traceparent of W3C
// Trace Context, version 00, for instance
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". The empty Trace is
// none. Its companion tracestate is not carried: it may hold anything.
type Trace string

// The places of a traceparent's parts.
const (
	traceSize                  = 55
	traceIDStart, traceIDEnd   = 3, 35
	spanIDStart, spanIDEnd     = 36, 52
	flagsStart                 = 53
	noTraceID, noSpanID        = "00000000000000000000000000000000", "0000000000000000"
	traceVersion, traceDivider = "00-", '-'
)

// ParseTrace takes exactly what W3C Trace Context has for version 00, and gives
// no Trace for anything else: the header is the publisher's and may hold
// anything.
func ParseTrace(s string) Trace {
	if len(s) != traceSize || !strings.HasPrefix(s, traceVersion) || s[traceIDEnd] != traceDivider || s[spanIDEnd] != traceDivider {
		return ""
	}
	id, span := s[traceIDStart:traceIDEnd], s[spanIDStart:spanIDEnd]
	if !lowerHex(id) || !lowerHex(span) || !lowerHex(s[flagsStart:]) || id == noTraceID || span == noSpanID {
		return ""
	}
	return Trace(s)
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ID is the trace's own id, 32 hex digits, and empty where there is no trace.
func (t Trace) ID() string {
	if len(t) != traceSize {
		return ""
	}
	return string(t[traceIDStart:traceIDEnd])
}

// SpanID is the id of the span that handed the trace on, 16 hex digits.
func (t Trace) SpanID() string {
	if len(t) != traceSize {
		return ""
	}
	return string(t[spanIDStart:spanIDEnd])
}

// Sampled tells whether whoever handed the trace on records it.
func (t Trace) Sampled() bool {
	flags, err := strconv.ParseUint(string(t[min(flagsStart, len(t)):]), 16, 8)
	return err == nil && flags&1 == 1
}

// NewTrace makes a Trace of ids in lower-case hex; it is empty where they are
// none.
func NewTrace(id, span string, sampled bool) Trace {
	flags := "-00"
	if sampled {
		flags = "-01"
	}
	return ParseTrace(traceVersion + id + "-" + span + flags)
}

type traceKey struct{}

// WithTrace makes what is published under ctx a part of the trace.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf is the trace of ctx, empty where there is none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

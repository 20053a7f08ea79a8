package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// OTLP sends spans by OTLP over HTTP, in its JSON encoding (OpenTelemetry
// Protocol, "JSON Protobuf Encoding": ids in hex, enums as numbers, 64-bit
// integers as strings). The library's own exporter would link gRPC into every
// worker, which costs 6 MiB of resident memory whether it is used or not.
type OTLP struct {
	url    string
	header http.Header
	client *http.Client
}

const (
	exportTime = 10 * time.Second
	// answerLimit bounds what is read of an answer, so that its connection can be
	// used again.
	answerLimit = 4 << 10
)

// NewOTLP sends to the whole URL of a collector, /v1/traces included, with
// further headers, such as one that authorizes.
func NewOTLP(url string, header http.Header) *OTLP {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	return &OTLP{url: url, header: header, client: &http.Client{
		Transport: transport, Timeout: exportTime,
		// A collector does not move; what authorizes must not go elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var _ sdk.SpanExporter = (*OTLP)(nil)

// ExportSpans implements sdk.SpanExporter. It tries once: spans are lost rather
// than kept in memory.
func (o *OTLP) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body, err := json.Marshal(requestOf(spans))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = o.header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := o.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, answerLimit)) // only for the connection's sake
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %d", response.StatusCode)
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (o *OTLP) Shutdown(context.Context) error {
	o.client.CloseIdleConnections()
	return nil
}

// The messages of opentelemetry.proto.collector.trace.v1, as far as we fill them.
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	otlpSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		ParentSpanID string          `json:"parentSpanId,omitempty"`
		Flags        uint32          `json:"flags"`
		Name         string          `json:"name"`
		Kind         int             `json:"kind"`
		Start        string          `json:"startTimeUnixNano"`
		End          string          `json:"endTimeUnixNano"`
		Attributes   []otlpAttribute `json:"attributes,omitempty"`
		Status       otlpStatus      `json:"status"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
		Int    string  `json:"intValue,omitempty"`
	}
	otlpStatus struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
)

// requestOf puts spans into one request: they are all of one process and scope.
func requestOf(spans []sdk.ReadOnlySpan) otlpRequest {
	if len(spans) == 0 {
		return otlpRequest{ResourceSpans: []otlpResourceSpans{}}
	}
	first := spans[0]
	out := otlpScopeSpans{Scope: otlpScope{Name: first.InstrumentationScope().Name, Version: first.InstrumentationScope().Version}}
	for _, s := range spans {
		out.Spans = append(out.Spans, spanOf(s))
	}
	return otlpRequest{ResourceSpans: []otlpResourceSpans{{
		Resource: otlpResource{Attributes: attributesOf(first.Resource().Attributes())}, ScopeSpans: []otlpScopeSpans{out},
	}}}
}

// remoteKnown and remote are bits of a span's flags: whether its parent is of
// another process is known, and is so.
const remoteKnown, remote = 0x100, 0x200

func spanOf(s sdk.ReadOnlySpan) otlpSpan {
	c, parent := s.SpanContext(), s.Parent()
	out := otlpSpan{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), Flags: uint32(c.TraceFlags()) | remoteKnown,
		Name: s.Name(), Kind: int(s.SpanKind()), Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()),
		Attributes: attributesOf(s.Attributes()),
	}
	if parent.SpanID().IsValid() {
		out.ParentSpanID = parent.SpanID().String()
	}
	if parent.IsRemote() {
		out.Flags |= remote
	}
	if s.Status().Code == codes.Error {
		out.Status = otlpStatus{Message: s.Status().Description, Code: 2}
	}
	return out
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func attributesOf(all []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, 0, len(all))
	for _, a := range all {
		var value otlpValue
		switch a.Value.Type() {
		case attribute.BOOL:
			b := a.Value.AsBool()
			value.Bool = &b
		case attribute.INT64:
			value.Int = strconv.FormatInt(a.Value.AsInt64(), 10)
		default:
			text := a.Value.String()
			value.String = &text
		}
		out = append(out, otlpAttribute{Key: string(a.Key), Value: value})
	}
	return out
}

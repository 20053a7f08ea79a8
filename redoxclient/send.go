package redoxclient

import (
	"cmp"
	"context"
	"errors"
	"strings"
)

// SendRequest is one message for one destination.
type SendRequest struct {
	// Destination is the destination's slug.
	Destination string
	// Path is the operation below the destination, for instance
	// "DocumentReference/$documentreference-create".
	Path string
	// SourceID is the UUID of the Redox source, see UploadRequest.
	SourceID string
	// ContentType defaults to application/fhir+json.
	ContentType string
	// Body is the Bundle. Redox documents a limit of 40 MB a request.
	Body Body
}

// Send posts one message. A Receipt means that Redox has durably queued it, and
// that it must not be sent again. Every error is an *Error; only one of the
// kind UnknownOutcome leaves open whether Redox has the message.
func (c *Client) Send(ctx context.Context, r SendRequest) (*Receipt, error) {
	k, err := c.sendCall(r)
	if err != nil {
		return nil, invalid(OpSend, err)
	}
	return c.post(ctx, k)
}

// post makes the call of a message and judges its answer.
func (c *Client) post(ctx context.Context, k call) (*Receipt, error) {
	ans, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	if e := c.statusError(k.op, ans); e != nil {
		return nil, e
	}
	return c.received(k.op, ans)
}

func (c *Client) sendCall(r SendRequest) (call, error) {
	switch {
	case !slugShape.MatchString(r.Destination):
		return call{}, errors.New("the destination is not a slug of [A-Za-z0-9._~-]")
	case !pathShape.MatchString(r.Path):
		return call{}, errors.New("the path is not Resource/$operation")
	}
	header, err := requestHeader(r.SourceID, cmp.Or(r.ContentType, "application/fhir+json"), r.Body)
	if err != nil {
		return call{}, err
	}
	resource, operation, _ := strings.Cut(r.Path, "/")
	return call{
		op:     OpSend,
		url:    c.endpoint("fhir", "R4", r.Destination, c.cfg.Environment, resource, operation),
		header: header,
		body:   r.Body,

		destination: r.Destination,
	}, nil
}

// received judges a 2xx, whose body can still report that nothing was queued.
func (c *Client) received(op Op, ans *answer) (*Receipt, error) {
	switch {
	case ans.readErr != nil:
		return nil, c.unreadError(op, ans)
	case !ans.whole:
		return nil, c.replyError(op, ans, UnknownOutcome, CodeEarlyAnswer, nil)
	}
	v := parseAnswer(ans.body)
	if kind, code, ok := v.judge(); !ok {
		return nil, c.replyError(op, ans, kind, code, v.unreadable)
	}
	return &Receipt{
		Status:   ans.status,
		Location: cmp.Or(safeLocation(v.location), safeLocation(ans.header.Get("Location"))),
		LogIDs:   v.logIDs,
		TraceID:  safeID(ans.header.Get("Redox-Trace-Id")),
	}, nil
}

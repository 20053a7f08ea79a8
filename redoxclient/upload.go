package redoxclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
)

// UploadRequest is one file for Redox's blob store.
type UploadRequest struct {
	// SourceID is the UUID of the Redox source. Redox needs it where an
	// environment holds more than one; empty sends no header.
	SourceID string
	// ContentType is the file's media type. Redox does not say what it expects
	// here; the file's own type is our inference.
	ContentType string
	// Body is the raw file. Redox documents a limit of 30 MB.
	Body Body
}

// Upload is a file at Redox.
type Upload struct {
	// URL names the file in a message of the same source. It is https, without
	// user or fragment, on one of the allowed hosts. Treat it as a secret: no
	// lifetime and no access rule is documented.
	URL string
	// Status is the HTTP status, usually 201.
	Status int
	// TraceID is Redox-Trace-Id, if it came.
	TraceID string
}

// Upload stores one file. Every error is an *Error, and never of the kind
// UnknownOutcome: a file that no message names harms nothing, so what cannot be
// known is retryable.
func (c *Client) Upload(ctx context.Context, r UploadRequest) (*Upload, error) {
	header, err := requestHeader(r.SourceID, r.ContentType, r.Body)
	if err != nil {
		return nil, invalid(OpUpload, err)
	}
	ans, err := c.store(ctx, call{
		op:     OpUpload,
		url:    c.endpoint("fhir", "R4", "redox", c.cfg.Environment, "Binary"),
		header: header,
		body:   r.Body,
	})
	if err != nil {
		return nil, err
	}
	return c.uploaded(ans)
}

// store makes the call of an upload; an answer it gives is a 2xx to all of it.
func (c *Client) store(ctx context.Context, k call) (*answer, error) {
	ans, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	if e := c.statusError(k.op, ans); e != nil {
		return nil, e
	}
	if !ans.whole {
		return nil, c.replyError(k.op, ans, Retryable, CodeEarlyAnswer, nil)
	}
	return ans, nil
}

// uploaded takes the URL from the Location header, else from the body's
// "location": Redox's prose names the header, its sample shows a body.
func (c *Client) uploaded(ans *answer) (*Upload, error) {
	raw := ans.header.Get("Location")
	if raw == "" {
		if ans.readErr != nil {
			return nil, c.unreadError(OpUpload, ans)
		}
		raw = bodyLocation(ans.body)
		if v := parseAnswer(ans.body); raw == "" && v.refused {
			return nil, c.fileRefused(OpUpload, ans, v)
		}
	}
	return c.named(OpUpload, ans, raw)
}

// named gives the upload that an answer names by raw, if it can be believed.
func (c *Client) named(op Op, ans *answer, raw string) (*Upload, error) {
	if raw == "" {
		return nil, c.replyError(op, ans, Permanent, CodeNoLocation, nil)
	}
	blob, err := checkBlobURL(raw, c.cfg.BlobHosts)
	if err != nil {
		e := c.replyError(op, ans, Permanent, CodeBlobURL, err)
		e.hint = "the answer names " + err.Error()
		return nil, e
	}
	return &Upload{URL: blob, Status: ans.status, TraceID: safeID(ans.header.Get("Redox-Trace-Id"))}, nil
}

func bodyLocation(body []byte) string {
	var named struct {
		Location string `json:"location"`
	}
	if json.Unmarshal(body, &named, tolerant) != nil {
		return ""
	}
	return named.Location
}

// requestHeader checks what the operations share.
func requestHeader(sourceID, contentType string, body Body) (http.Header, error) {
	switch {
	case !checkSourceID(sourceID):
		return nil, errors.New("the source id is not a UUID")
	case !checkContentType(contentType):
		return nil, errors.New("the content type is not a media type")
	case body.Open == nil:
		return nil, errors.New("the body has no Open")
	case body.Size < 1:
		return nil, errors.New("the size of the body is not positive")
	}
	h := http.Header{"Content-Type": {contentType}}
	if sourceID != "" {
		h["Redox-source-Id"] = []string{sourceID} // spelled as Redox's docs do
	}
	return h, nil
}

func invalid(op Op, err error) *Error {
	return &Error{Kind: Permanent, Op: op, Where: BeforeSending, Code: CodeInvalidRequest, hint: err.Error(), cause: err}
}

// endpoint joins checked path elements to the API's base.
func (c *Client) endpoint(elements ...string) *url.URL { return c.base.JoinPath(elements...) }

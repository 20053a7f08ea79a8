package s3source

import (
	"io"
	"net/http"
	"time"
)

// maxHeaders bounds the headers of an answer and maxError the body of one that
// is an error, in bytes. The SDK reads such a body whole, and would do so without
// end. The bytes of a file are bounded by body.go and by who reads it.
const (
	maxHeaders = 64 << 10
	maxError   = 64 << 10
)

// bounded speaks to the store without the SDK's own client around the transport.
// That one follows 307 and 308 as often as they come and to whatever host, with
// the object's key in the URL. Here a redirect is an answer like any other, for
// judge to name.
//
// It cuts the bodies of errors, in length and in time. What is cut is no XML: the
// HTTP status decides then.
type bounded struct {
	transport *http.Transport
	stall     time.Duration
}

// Do implements s3.HTTPClient.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.transport.RoundTrip(r)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		whole := resp.Body
		late := time.AfterFunc(b.stall, func() { _ = whole.Close() })
		resp.Body = &cutBody{Reader: io.LimitReader(whole, maxError), whole: whole, late: late}
	}
	return resp, err
}

type cutBody struct {
	io.Reader
	whole io.Closer
	late  *time.Timer
}

func (c *cutBody) Close() error {
	c.late.Stop()
	return c.whole.Close()
}

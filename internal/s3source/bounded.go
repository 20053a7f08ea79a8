package s3source

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
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
// It cuts the bodies of errors, in length and in time, and decodes those that a
// proxy between has gzipped unasked: the error code stands in them. What is cut is
// no XML: the HTTP status decides then.
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
		body := io.LimitReader(whole, maxError)
		if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
			body = io.LimitReader(&gunzip{coded: body}, maxError)
		}
		resp.Body = &cutBody{Reader: body, whole: whole, late: late}
	}
	return resp, err
}

// gunzip decodes from the first Read on.
type gunzip struct {
	coded io.Reader
	plain *gzip.Reader
}

func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.plain == nil {
		if g.plain, err = gzip.NewReader(g.coded); err != nil {
			return 0, err
		}
	}
	return g.plain.Read(p)
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

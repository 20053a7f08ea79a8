package s3source

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxHeaders bounds the headers of an answer and maxError the body of one that
// is an error, in bytes. The SDK reads such a body whole, and would do so without
// end. The bytes of a file are bounded by body.go and by who reads it.
const (
	maxHeaders = 64 << 10
	maxError   = 64 << 10
)

// bounded cuts the bodies of errors. What is cut is no XML: the HTTP status
// decides then.
type bounded struct{ client s3.HTTPClient }

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(r)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		resp.Body = &cutBody{io.LimitReader(resp.Body, maxError), resp.Body}
	}
	return resp, err
}

type cutBody struct {
	io.Reader
	io.Closer
}

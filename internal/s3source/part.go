package s3source

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// Part implements pipeline.Source. It is one request that does not resume: a
// part is small, and its caller tries again.
func (s *Source) Part(ctx context.Context, file schemas.File, pin pipeline.Pin, offset, length int64) ([]byte, error) {
	w, f := s.ask(file, &pin)
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Stall)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String(w.bucket), Key: aws.String(w.key), VersionId: optional(w.versionID), IfMatch: optional(w.etag),
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)),
	}, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	if err != nil {
		return nil, w.judge(ctx, err)
	}
	defer out.Body.Close()
	a := answer{aws.ToString(out.VersionId), aws.ToString(out.ETag), aws.ToString(out.ContentType), out.ContentLength}
	switch {
	case !w.is(a):
		return nil, fileChanged.fault(nil)
	case aws.ToString(out.ContentRange) != fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, w.size):
		return nil, protocol.fault(nil)
	}
	part := make([]byte, length)
	if _, err := io.ReadFull(out.Body, part); err != nil {
		return nil, judge(ctx, err)
	}
	return part, nil
}

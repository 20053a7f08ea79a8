package s3source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Part implements pipeline.Source. It is one request that does not resume: a
// part is small, and its caller tries again. The whole of it has the time that
// other reads have for their next byte.
func (s *Source) Part(ctx context.Context, file schemas.File, pin job.Pin, offset, length int64) ([]byte, error) {
	w, f := s.ask(file, &pin)
	if f != nil {
		return nil, f
	}
	inTime, cancel := context.WithTimeoutCause(ctx, s.config.Stall, errStalled)
	defer cancel()
	out, err := s.client.GetObject(inTime, &s3.GetObjectInput{
		Bucket: aws.String(w.bucket), Key: aws.String(w.key), VersionId: optional(w.versionID), IfMatch: optional(w.match()),
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)),
	}, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	if err != nil {
		return nil, w.judge(ctx, late(inTime, err))
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
		return nil, judge(ctx, late(inTime, err))
	}
	return part, nil
}

// late names a request that ended because its own time did: to whom the SDK
// speaks of the end of a context, that is the caller's.
func late(inTime context.Context, err error) error {
	if errors.Is(context.Cause(inTime), errStalled) {
		return errStalled
	}
	return err
}

package s3source

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Store writes a file of size bytes while body is read, once: what fails is not tried
// again. The bytes are not part of the signature, so the way to the store must be TLS or a
// network that is trusted. Its errors are *fault.Fault.
func (s *Source) Store(ctx context.Context, file schemas.File, body io.Reader, size int64) (job.Pin, error) {
	if f := s.admit(file); f != nil {
		return job.Pin{}, f
	}
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(file.Bucket), Key: aws.String(file.Key), Body: body, ContentLength: aws.Int64(size), ContentType: optional(file.ContentType),
	}, func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.Retryer = aws.NopRetryer{}
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	})
	if err != nil {
		return job.Pin{}, putFault(judge(ctx, err))
	}
	pin := job.Pin{VersionID: aws.ToString(out.VersionId), ETag: aws.ToString(out.ETag), Size: size}
	if pin.ETag == "" && pin.VersionID == "" {
		return job.Pin{}, fileUnpinned.fault(nil)
	}
	return pin, nil
}

// Remove removes what Store has written; an object of a bucket with versions, that version.
func (s *Source) Remove(ctx context.Context, file schemas.File, pin job.Pin) error {
	if f := s.admit(file); f != nil {
		return f
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(file.Bucket), Key: aws.String(file.Key), VersionId: optional(pin.VersionID)})
	if err != nil {
		return judge(ctx, err)
	}
	return nil
}

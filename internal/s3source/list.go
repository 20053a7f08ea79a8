package s3source

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/schemas"
)

// Listed is an object of a listing.
type Listed struct {
	Key string
	// Size is in bytes.
	Size     int64
	Modified time.Time
	// ETag is as S3 writes it, in quotes.
	ETag string
}

// List gives the current objects whose keys start with prefix, which may be
// empty, in pages of a thousand. The allowed buckets bind it as they bind reading.
// An error, a *fault.Fault, is the last thing given.
func (s *Source) List(ctx context.Context, bucket, prefix string) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		// Any key with the prefix stands for all of them.
		if f := s.admit(schemas.File{Bucket: bucket, Key: prefix + "x"}); f != nil {
			yield(Listed{}, f)
			return
		}
		var after *string
		for {
			page, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: optional(prefix), ContinuationToken: after})
			if err != nil {
				yield(Listed{}, listFault(ctx, err))
				return
			}
			for _, object := range page.Contents {
				key := aws.ToString(object.Key)
				if !strings.HasSuffix(key, "/") && !yield(Listed{key, aws.ToInt64(object.Size), aws.ToTime(object.LastModified), aws.ToString(object.ETag)}, nil) {
					return
				}
			}
			if after = page.NextContinuationToken; !aws.ToBool(page.IsTruncated) {
				return
			}
			if aws.ToString(after) == "" {
				yield(Listed{}, protocol.fault(nil))
				return
			}
		}
	}
}

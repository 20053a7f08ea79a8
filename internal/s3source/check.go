package s3source

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/fault"
)

// Checked is what Check found.
type Checked struct {
	// Bucket is the entry of the allowed buckets as it was configured, or empty
	// for the store as a whole where all buckets are allowed.
	Bucket string
	// Fault is nil where all is well. The code "list_forbidden" is no more than
	// a warning: files may be readable all the same.
	Fault *fault.Fault
}

// Check calls the store: whether it can be reached, takes the credentials, and
// has the allowed buckets. It reads no object.
func (s *Source) Check(ctx context.Context) []Checked {
	if len(s.allowed) == 0 {
		_, err := s.client.ListBuckets(ctx, &s3.ListBucketsInput{})
		return []Checked{{Fault: listFault(ctx, err)}}
	}
	results := make([]Checked, len(s.allowed))
	for i, p := range s.allowed {
		_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket: aws.String(p.bucket), Prefix: optional(p.prefix), MaxKeys: aws.Int32(1),
		})
		results[i] = Checked{Bucket: s.config.Buckets[i], Fault: listFault(ctx, err)}
	}
	return results
}

func listFault(ctx context.Context, err error) *fault.Fault {
	if err == nil {
		return nil
	}
	f := judge(ctx, err)
	switch f.Code {
	case fileForbidden.code:
		return listForbidden.as(f)
	case keyMissing.code:
		return rejected.as(f)
	}
	return f
}

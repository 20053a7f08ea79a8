package s3source

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Upload is a file on its way into the store.
type Upload struct {
	Bucket, Key string
	// ContentType may be empty.
	ContentType string
	// Body is read from its start, over plain HTTP twice: once to sign it.
	Body io.ReadSeeker
	// Size is in bytes.
	Size int64
	// IfAbsent refuses, with the code "file_exists", to replace an object.
	IfAbsent bool
}

// Put stores a file, in one request, and pins what it stored. The allowed
// buckets bind it as they bind reading. Its errors are *fault.Fault.
func (s *Source) Put(ctx context.Context, u Upload) (job.Pin, error) {
	if f := s.admit(schemas.File{Bucket: u.Bucket, Key: u.Key}); f != nil {
		return job.Pin{}, f
	}
	in := &s3.PutObjectInput{
		Bucket: aws.String(u.Bucket), Key: aws.String(u.Key),
		Body: u.Body, ContentLength: aws.Int64(u.Size), ContentType: optional(u.ContentType),
	}
	if u.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return job.Pin{}, putFault(judge(ctx, err))
	}
	return job.Pin{VersionID: aws.ToString(out.VersionId), ETag: aws.ToString(out.ETag), Size: u.Size}, nil
}

// putFault reads the verdicts on reading as ones on writing: the only
// condition of a Put is that there is no object.
func putFault(f *fault.Fault) *fault.Fault {
	switch f.Code {
	case fileChanged.code:
		return fileExists.as(f)
	case fileForbidden.code:
		return putForbidden.as(f)
	case keyMissing.code:
		return rejected.as(f)
	}
	return f
}

package s3source

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// want is an object as a request names it.
type want struct {
	bucket, key string
	// versionID and etag are empty where anything will do. Both are sent where
	// both are known: the version "null" can be overwritten.
	versionID, etag string
	// size is -1 where it is not known.
	size int64
}

// anySize is the size of a file that nobody pinned.
const anySize = -1

func wanted(file schemas.File, pin *job.Pin) want {
	w := want{bucket: file.Bucket, key: file.Key, versionID: file.VersionID, etag: quoted(file.ETag), size: anySize}
	if pin != nil {
		w.versionID, w.etag, w.size = pin.VersionID, quoted(pin.ETag), pin.Size
	}
	return w
}

// quoted is the ETag with its quotes: callers copy it from tools that show it
// without them.
func quoted(etag string) string {
	if etag == "" || strings.HasPrefix(etag, `"`) || weak(etag) {
		return etag
	}
	return `"` + etag + `"`
}

// weak tells an ETag that stands for what an object means and not for its bytes
// (RFC 9110, 8.8.1).
func weak(etag string) bool { return strings.HasPrefix(etag, `W/"`) }

// match is the ETag for If-Match, which never takes a weak one (RFC 9110, 13.1.1).
func (w want) match() string {
	if weak(w.etag) {
		return ""
	}
	return w.etag
}

// sendable tells whether an ETag can stand in a header. One that cannot was
// never S3's.
func sendable(etag string) bool {
	return !strings.ContainsFunc(etag, func(c rune) bool { return c < ' ' || c > '~' })
}

// answer is what GET and HEAD both say of an object.
type answer struct {
	versionID, etag, contentType string
	length                       *int64
}

// Stat implements pipeline.Source. A HEAD has no body, so that its errors name
// no code: for those a GET is asked, and its body left unread.
func (s *Source) Stat(ctx context.Context, file schemas.File, pin *job.Pin) (*pipeline.Object, error) {
	w, f := s.ask(file, pin)
	if f != nil {
		return nil, f
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: aws.String(w.bucket), Key: aws.String(w.key), VersionId: optional(w.versionID), IfMatch: optional(w.match()),
	})
	if err == nil {
		a := answer{aws.ToString(out.VersionId), aws.ToString(out.ETag), aws.ToString(out.ContentType), out.ContentLength}
		if err := w.begins(a); err != nil {
			return nil, err
		}
		return a.object(), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, body, err := s.get(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	// The end of ctx drops the connection; how closing fails tells nothing.
	_ = body.Close()
	return a.object(), nil
}

// Open implements pipeline.Source.
func (s *Source) Open(ctx context.Context, file schemas.File, pin *job.Pin) (*pipeline.Object, error) {
	w, f := s.ask(file, pin)
	if f != nil {
		return nil, f
	}
	b := newBody(ctx, s)
	a, first, err := b.open(w, 0)
	if err != nil {
		b.cancel()
		return nil, err
	}
	object := a.object()
	w.versionID, w.etag, w.size = object.Pin.VersionID, object.Pin.ETag, object.Pin.Size
	b.want, b.current = w, first
	object.Body = b
	return object, nil
}

// ask is what to request for a file that may be requested.
func (s *Source) ask(file schemas.File, pin *job.Pin) (want, *fault.Fault) {
	if f := s.admit(file); f != nil {
		return want{}, f
	}
	w := wanted(file, pin)
	if !sendable(w.etag) {
		return want{}, fileChanged.fault(nil)
	}
	return w, nil
}

// object pins what an answer tells of, once it is checked.
func (a answer) object() *pipeline.Object {
	return &pipeline.Object{
		Pin:         job.Pin{VersionID: a.versionID, ETag: a.etag, Size: *a.length},
		ContentType: a.contentType,
	}
}

// begins checks that an answer is of the whole of what was wanted, since not
// every store honors If-Match, and can be pinned.
func (w want) begins(a answer) error {
	switch {
	case a.length == nil || *a.length < 0:
		return protocol.fault(nil)
	case (a.etag == "" || weak(a.etag)) && (a.versionID == "" || a.versionID == "null"):
		return fileUnpinned.fault(nil)
	case !w.is(a), w.size != anySize && w.size != *a.length:
		return fileChanged.fault(nil)
	}
	return nil
}

// is tells whether the answer is of the wanted version. A store without
// versions names none.
func (w want) is(a answer) bool {
	return (w.etag == "" || w.etag == a.etag) && (w.versionID == "" || a.versionID == "" || w.versionID == a.versionID)
}

// get asks for the object from offset on, and checks that the answer is of what
// was wanted. Its errors are judged.
func (s *Source) get(ctx context.Context, w want, offset int64) (answer, bodyReader, error) {
	in := &s3.GetObjectInput{Bucket: aws.String(w.bucket), Key: aws.String(w.key), VersionId: optional(w.versionID), IfMatch: optional(w.match())}
	var adjust []func(*s3.Options)
	if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
		adjust = append(adjust, func(o *s3.Options) {
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		})
	}
	out, err := s.client.GetObject(ctx, in, adjust...)
	if err != nil {
		return answer{}, nil, w.judge(ctx, err)
	}
	a := answer{aws.ToString(out.VersionId), aws.ToString(out.ETag), aws.ToString(out.ContentType), out.ContentLength}
	if offset == 0 {
		err = w.begins(a)
	} else {
		err = w.continues(a, aws.ToString(out.ContentRange), offset)
	}
	if err != nil {
		_ = out.Body.Close()
		return answer{}, nil, err
	}
	return a, out.Body, nil
}

// judge knows what judge alone cannot: that a version was asked for.
func (w want) judge(ctx context.Context, err error) error {
	f := judge(ctx, err)
	if w.versionID == "" {
		return f
	}
	switch codeOf(f.Cause) {
	case "InvalidArgument":
		return versionInvalid.as(f)
	case "MethodNotAllowed": // that version is a delete marker
		return fileMissing.as(f)
	}
	return f
}

// continues checks that an answer is the rest of the pinned object.
func (w want) continues(a answer, contentRange string, offset int64) error {
	switch {
	case !w.is(a):
		return fileChanged.fault(nil)
	case contentRange != fmt.Sprintf("bytes %d-%d/%d", offset, w.size-1, w.size),
		a.length == nil || *a.length != w.size-offset:
		return protocol.fault(nil)
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

package pipeline

import (
	"bytes"
	"context"
	"io"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// wholeSize is the largest file that is read whole to be inspected, at once; of
// a larger one its head, and the range that a rule wants beside it.
const wholeSize = guard.HeadSize + guard.TailSize

// inspect lets the content guard judge a file before its first byte is sent,
// and gives the type it leaves as. stated is what the message says of it.
// The type that message or job state counts before the store's, which is only
// a hint: a store was often never told. A word of the store's own is not sent: a
// later try could not know it without the store. object is the file's opened reading, or has no
// Body, and keeps its bytes.
func (d *delivery) inspect(ctx context.Context, i int, object *Object, stated compose.Statement) (string, error) {
	file := d.job.Files[i]
	said := contentTypeOf(stated.ContentType, file.ContentType)
	looked := guard.File{Names: []string{titleOf(file), file.Key}, Declared: said, Size: object.Pin.Size}
	if stated.Title != "" {
		looked.Names = append(looked.Names, stated.Title)
	}
	var err error
	seen := looked.Size
	if seen > wholeSize {
		seen = guard.HeadSize
	}
	if looked.Head, err = d.head(ctx, file, object, seen); err != nil {
		return "", err
	}
	if said != octetStream {
		return d.judge(ctx, file, object, looked)
	}
	looked.Declared = contentTypeOf(object.ContentType)
	leaves, err := d.judge(ctx, file, object, looked)
	if f := fault.Of(err); f != nil && f.Code == guard.CodeContradicted {
		looked.Declared = ""
		return d.judge(ctx, file, object, looked)
	}
	return guard.Shown(leaves), err
}

// judge reads what the guard needs beside the head, and asks it.
func (d *delivery) judge(ctx context.Context, file schemas.File, object *Object, looked guard.File) (leaves string, err error) {
	if need := d.settings.Guard.Needs(looked); need.Length > 0 {
		if looked.Part, err = d.part(ctx, file, object.Pin, need.Offset, need.Length); err != nil {
			return "", err
		}
	}
	return d.settings.Guard.Judge(looked)
}

// head reads the first n bytes of a file. Those of an open reading are put back
// in front of it.
func (d *delivery) head(ctx context.Context, file schemas.File, object *Object, n int64) ([]byte, error) {
	if object.Body == nil {
		return d.part(ctx, file, object.Pin, 0, n)
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(object.Body, head); err != nil {
		return nil, err
	}
	object.Body = &prefixed{Reader: io.MultiReader(bytes.NewReader(head), object.Body), Closer: object.Body}
	return head, nil
}

func (d *delivery) part(ctx context.Context, file schemas.File, pin Pin, offset, length int64) (part []byte, err error) {
	err = d.settings.Retry.do(ctx, func() error {
		part, err = d.source.Part(ctx, file, pin, offset, length)
		return err
	})
	return part, err
}

// prefixed is a reading whose first bytes were read already.
type prefixed struct {
	io.Reader
	io.Closer
}

package pipeline

import (
	"bytes"
	"context"
	"io"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// inspect lets the content guard judge a file before its first byte is sent. The
// verdict is as what it leaves. stated is what the message says of it, which
// counts before what the job says; object is the file's opened reading, or has
// no Body, and keeps its bytes. A name of the store's own making is not sent: a
// later try could not know it without the store.
func (d *delivery) inspect(ctx context.Context, i int, object *Object, stated compose.Statement) (guard.Verdict, error) {
	file := d.job.Files[i]
	titles := []string{file.Title}
	if stated.Title != "" {
		titles = append(titles, stated.Title)
	}
	return d.line.settings.Guard.Judge(guard.File{
		Key: file.Key, Titles: titles, Job: guard.Statement(stated.ContentType, file.ContentType), Store: object.ContentType, Size: object.Pin.Size,
		Read: func(offset, length int64) ([]byte, error) {
			if offset == 0 && object.Body != nil {
				if _, begun := object.Body.(*prefixed); !begun {
					return d.head(object, length)
				}
			}
			return d.part(ctx, file, object.Pin, offset, length)
		},
	})
}

// head reads the first n bytes of an open reading and puts them back in front of
// it.
func (d *delivery) head(object *Object, n int64) ([]byte, error) {
	head := make([]byte, n)
	err := d.waiting(func() error {
		_, err := io.ReadFull(object.Body, head)
		return err
	})
	if err != nil {
		return nil, err
	}
	object.Body = &prefixed{Reader: io.MultiReader(bytes.NewReader(head), object.Body), Closer: object.Body}
	return head, nil
}

func (d *delivery) part(ctx context.Context, file schemas.File, pin job.Pin, offset, length int64) (part []byte, err error) {
	err = d.repeat(ctx, func() error {
		return d.waiting(func() (err error) {
			part, err = d.line.source.Part(ctx, file, pin, offset, length)
			return err
		})
	})
	return part, err
}

// prefixed is a reading whose first bytes were read already.
type prefixed struct {
	io.Reader
	io.Closer
}

// foresee refuses what no message can name, before the first byte of a file is
// sent: a type without a name in the Data Model, a file without the name that a
// message needs. A large message, which is not kept parsed, is parsed again for it.
func (d *delivery) foresee() error {
	if d.draft != nil {
		return d.admits(d.draft)
	}
	return d.line.parsed.use(len(d.job.Message), func() error {
		draft, err := d.line.settings.Composer.Draft(d.job)
		if err != nil {
			return err
		}
		return d.admits(draft)
	})
}

func (d *delivery) admits(draft *compose.Draft) error {
	for i, f := range d.attachments() {
		if err := draft.Admits(i, f); err != nil {
			return at(i, err)
		}
	}
	return nil
}

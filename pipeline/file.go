package pipeline

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// survey learns size and type of every file before the first byte is sent, and
// pins the exact objects, so that no later try sends other bytes.
func (d *delivery) survey(ctx context.Context) error {
	d.record.Expect(len(d.job.Files))
	stated, err := d.stated()
	if err != nil {
		return err
	}
	single := len(d.job.Files) == 1
	for i := range d.job.Files {
		known := &d.record.Files[i]
		if known.Pin != nil {
			known.Recall(guard.Statement(stated[i].ContentType, d.job.Files[i].ContentType))
			continue
		}
		object, err := d.look(ctx, i, single)
		if err != nil {
			return err
		}
		if err := d.admit(i, object.Pin.Size); err != nil {
			return err
		}
		verdict, err := d.inspect(ctx, i, object, stated[i])
		if err != nil {
			return at(i, err)
		}
		known.Judged(object.Pin, verdict)
	}
	return d.foresee()
}

// stated is what the message says of each file.
func (d *delivery) stated() (stated []compose.Statement, err error) {
	if d.draft != nil {
		return d.draft.Stated(), nil
	}
	err = d.line.parsed.use(len(d.job.Message), func() error {
		draft, err := d.line.settings.Composer.Draft(d.job)
		if err != nil {
			return err
		}
		stated, d.draft = draft.Stated(), keptDraft(d.job, draft)
		return nil
	})
	return stated, err
}

// look asks the store for file i. The only file of a job is opened at once and
// kept for its transfer.
func (d *delivery) look(ctx context.Context, i int, keep bool) (*Object, error) {
	var object *Object
	err := d.repeat(ctx, func() error {
		return d.waiting(func() (err error) {
			if keep {
				object, err = d.line.source.Open(ctx, d.job.Files[i], nil)
			} else {
				object, err = d.line.source.Stat(ctx, d.job.Files[i], nil)
			}
			return err
		})
	})
	if err != nil {
		return nil, at(i, err)
	}
	if keep {
		d.opened = object
	}
	return object, nil
}

// admit refuses what Redox would refuse, before any byte is sent.
func (d *delivery) admit(i int, size int64) error {
	switch limit := d.line.settings.FileLimit; {
	case size == 0:
		return at(i, &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_empty", Text: "the file has no bytes"})
	case size > limit:
		return at(i, &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_too_large",
			Text: fmt.Sprintf("the file has %d bytes, %d are allowed", size, limit)})
	}
	return nil
}

// open reads file i from its first byte, hashing it on the way.
func (d *delivery) open(ctx context.Context, i int) (io.ReadCloser, error) {
	known := &d.record.Files[i]
	object := d.opened
	d.opened = nil
	if object == nil {
		var err error
		if object, err = d.line.source.Open(ctx, d.job.Files[i], known.Pin); err != nil {
			return nil, at(i, err)
		}
	}
	// The end of the reading ends a Read that waits: a body kept from the survey
	// hangs on the job's context, not on this try's.
	return &hashedFile{
		body: object.Body, unhook: context.AfterFunc(ctx, func() { object.Body.Close() }), index: i, left: known.Pin.Size, sum: newSums(known.Transfer),
		want: d.job.Files[i].SHA256, done: func(s sums) { known.Hashed(s.sha256(), s.sha1()) },
	}, nil
}

// uploadAll brings every file that is not yet at Redox there, one after the
// other. Each URL is in the ledger before anything goes on that takes time: the
// next upload, or a wait before the message. Without a wait the write that says
// "sending" tells of the last one.
func (d *delivery) uploadAll(ctx context.Context) error {
	for i := range d.record.Files {
		if d.record.Files[i].URL != "" {
			continue
		}
		if d.unsaved {
			d.unsaved = false
			if err := d.save(ctx); err != nil {
				return err
			}
		}
		if err := d.step(StepUpload, func() error { return d.upload(ctx, i) }); err != nil {
			return err
		}
		d.unsaved = true
	}
	if !d.unsaved {
		d.progress.Uploaded(d.record)
	}
	return nil
}

// saveURL writes the last URL, if the ledger lacks it.
func (d *delivery) saveURL(ctx context.Context) error {
	if !d.unsaved {
		return nil
	}
	if err := d.save(ctx); err != nil {
		return err
	}
	d.unsaved = false
	d.progress.Uploaded(d.record)
	return nil
}

func (d *delivery) upload(ctx context.Context, i int) error {
	known := &d.record.Files[i]
	operation, _ := compose.Lookup(d.job.Operation)
	request := UploadRequest{
		SourceID:  d.job.SourceID,
		DataModel: operation.API == compose.DataModel,
		FileName:  titleOf(d.job.Files[i]),
		Payload: Payload{
			ContentType: known.MediaType(),
			Size:        known.Pin.Size,
			Open:        func(ctx context.Context) (io.ReadCloser, error) { return d.open(ctx, i) },
		},
	}
	request.Payload = d.guardLease(request.Payload, nil)
	err := d.repeat(ctx, func() error {
		if err := d.acquirePermit(ctx); err != nil {
			return err
		}
		if err := d.reconfirm(ctx); err != nil {
			return err
		}
		request.AdmittedAt = d.admitted
		return d.waiting(func() error {
			url, err := d.line.redox.Upload(ctx, request)
			known.Uploaded(url)
			return err
		})
	})
	if err != nil {
		return at(i, err)
	}
	return nil
}

// at makes a fault of file i point to it, unless it says a place already.
func at(i int, err error) error {
	f := fault.Of(err)
	if f == nil || f.Path != "" {
		return err
	}
	placed := *f
	placed.Path = "/files/" + strconv.Itoa(i)
	return &placed
}

// titleOf is the caller's title or the last element of the key. It is patient
// data: it goes into the message and nowhere else.
//
// Control characters, which a key may hold, are dropped: they cannot be read,
// and some who unpack a name obey them.
func titleOf(f schemas.File) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, cmp.Or(f.Title, path.Base(f.Key)))
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

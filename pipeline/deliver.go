package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// delivery is one run of one job.
type delivery struct {
	line     *Pipeline
	class    schemas.Class
	job      schemas.Job
	record   *job.Record
	records  RecordStore
	progress Progress
	// opened is the only file's first reading, kept from the survey so that a
	// job of one file costs one request to the store.
	opened *Object
	// unsaved: every file is at Redox, and the ledger does not know the last URL yet.
	unsaved bool
	// draft is the message without its files, until it is composed; nil where it is
	// parsed again.
	draft *compose.Draft
	// proven is when the ledger last took the record: the job was this worker's.
	confirmed time.Time
	// admitted is when the right to the request at hand was given.
	admitted time.Time
	// handed counts the bytes handed over to Redox in the step at hand.
	handed atomic.Int64
}

func (d *delivery) close() {
	if d.opened != nil {
		d.opened.Body.Close()
		d.opened = nil
	}
}

// waiting runs what is as fast as somebody else is.
func (d *delivery) waiting(run func() error) error {
	d.progress.Waiting()
	defer d.progress.Resumed()
	return run()
}

// repeat runs a step until it succeeds or may not be repeated in hand.
func (d *delivery) repeat(ctx context.Context, step func() error) error {
	policy := d.line.settings.Retry
	if !d.progress.Repeats() {
		policy.Tries = 1
	}
	return policy.do(ctx, step)
}

func (d *delivery) run(ctx context.Context) error {
	if err := d.step(StepAuthorize, func() error { return d.waiting(func() error { return d.line.redox.Authorize(ctx) }) }); err != nil {
		return err
	}
	if err := d.step(StepSurvey, func() error { return d.survey(ctx) }); err != nil {
		return err
	}
	err := d.transfer(ctx)
	if f := fault.Of(err); f == nil || f.Code != CodeMessageTooLarge || !d.mayUploadInstead() {
		return err
	}
	d.record.UploadInstead()
	return d.transfer(ctx)
}

// CodeMessageTooLarge is the code of Redox's 413 for a message. It is the one
// fault the pipeline answers itself, by uploading what it had embedded.
const CodeMessageTooLarge = "message_too_large"

// mayUploadInstead reports whether a message that was too large with its files
// inside can be made smaller: only where the caller left the choice to us.
func (d *delivery) mayUploadInstead() bool {
	return !d.record.NoEmbed && d.job.Transfer != schemas.Embed && d.transferOf() == schemas.Embed
}

// transferOf chooses how the files travel. It depends on sizes alone, so that
// every try of a job chooses the same.
func (d *delivery) transferOf() schemas.Transfer {
	switch {
	case d.job.Transfer == schemas.Upload, d.record.NoEmbed:
		return schemas.Upload
	case d.job.Transfer == schemas.Embed:
		return schemas.Embed
	}
	var sum int64
	for _, f := range d.record.Files {
		sum += f.Pin.Size
	}
	if sum <= d.line.settings.EmbedLimit {
		return schemas.Embed
	}
	return schemas.Upload
}

// transfer brings the files and the message to Redox.
func (d *delivery) transfer(ctx context.Context) error {
	transfer := d.transferOf()
	d.record.Travel(transfer)
	if transfer == schemas.Upload {
		if err := d.uploadAll(ctx); err != nil {
			return err
		}
	}
	var message *compose.Message
	err := d.step(StepCompose, func() (err error) {
		message, err = d.compose()
		return err
	})
	if err != nil {
		return errors.Join(err, d.saveURL(ctx))
	}
	return d.step(StepSend, func() error { return d.send(ctx, message) })
}

// compose builds the message, from the draft that was kept if there is one.
func (d *delivery) compose() (message *compose.Message, err error) {
	draft := d.draft
	d.draft = nil
	err = d.line.parsed.use(len(d.job.Message), func() (err error) {
		if draft == nil {
			if draft, err = d.line.settings.Composer.Draft(d.job); err != nil {
				return err
			}
		}
		message, err = draft.Compose(d.attachments())
		return err
	})
	return message, err
}

func (d *delivery) attachments() []compose.Attachment {
	list := make([]compose.Attachment, len(d.record.Files))
	for i := range d.record.Files {
		f := &d.record.Files[i]
		list[i] = compose.Attachment{
			ContentType: f.MediaType(),
			Title:       titleOf(d.job.Files[i]),
			Size:        f.Pin.Size,
		}
		if f.Transfer == schemas.Upload {
			list[i].URL, list[i].SHA1 = f.URL, f.SHA1
		}
	}
	return list
}

// send posts the message. Before every post the ledger is made to say so: that
// proves that this worker still owns the job, and whoever finds the record
// after a crash knows that the outcome is unknown.
func (d *delivery) send(ctx context.Context, message *compose.Message) error {
	request := d.messageRequest(message)
	request.Payload = d.guardLease(request.Payload, d.progress.Left)
	var receipt schemas.Receipt
	err := d.repeat(ctx, func() error {
		if err := d.acquirePermit(ctx); err != nil {
			return err
		}
		d.record.Send()
		err := d.save(ctx)
		if err == nil && d.unsaved {
			d.unsaved = false
			d.progress.Uploaded(d.record)
		}
		if err == nil && ctx.Err() != nil {
			err = stopped(ctx.Err())
		}
		if err != nil {
			d.record.NotTaken()
			return err
		}
		request.AdmittedAt = d.admitted
		err = asFault(d.waiting(func() (err error) {
			receipt, err = d.line.redox.Send(ctx, request)
			return err
		}))
		return d.refused(ctx, err)
	})
	if err != nil {
		return err
	}
	receipt.AcceptedAt = d.line.now().UTC()
	d.record.Accept(receipt)
	return d.saveReceipt(ctx)
}

// refused takes back what the ledger says of a message that Redox has not taken,
// before anything that takes time: a pause, a wait for the budget, an upload. A
// worker that dies in it leaves no doubt. Whatever else ends the try is written
// down by who decides about it.
func (d *delivery) refused(ctx context.Context, err error) error {
	f := fault.Of(err)
	if f == nil || f.Kind == fault.UnknownOutcome {
		return err
	}
	d.record.NotTaken()
	if f.Kind != fault.Retryable && f.Code != CodeMessageTooLarge {
		return err
	}
	if lost := d.save(ctx); lost != nil {
		return lost
	}
	return err
}

// acquirePermit waits for the right to one request: before the ledger says that it is
// made, since the wait may be long. What the ledger lacks is written first, if
// there is a wait; otherwise the write that says "sending" is at hand.
func (d *delivery) acquirePermit(ctx context.Context) error {
	if d.line.redox.TryAdmit(d.class) {
		d.admitted = d.line.now()
		d.progress.Admitted()
		return nil
	}
	if err := d.saveURL(ctx); err != nil {
		return err
	}
	d.progress.Queued()
	err := d.step(StepPermit, func() error { return d.line.redox.Admit(ctx, d.class) })
	if err == nil {
		d.admitted = d.line.now()
		d.progress.Admitted()
	}
	return err
}

// asFault takes an error of a sending that was not judged for an unknown outcome: a
// repeat must not rest on a guess.
func asFault(err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok || err == nil {
		return err
	}
	return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: "internal",
		Text: "sending ended in an unexpected error inside the worker", Cause: err}
}

// receiptTries is how often the ledger is asked to take a receipt, after each
// of which it has shown its own patience.
const receiptTries = 20

// saveReceipt writes down that Redox has the message. It retries longer than
// any other write, until the worker is stopped: without it the message is sent
// a second time, and while the ledger is away no other job could go on anyhow.
func (d *delivery) saveReceipt(ctx context.Context) error {
	for try := 1; ; try++ {
		err := d.save(ctx)
		if err == nil || fault.Of(err).Kind == fault.Superseded || try == receiptTries {
			return err
		}
		timer := time.NewTimer(d.line.settings.Retry.Longest)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// save writes the record to its end even while the worker is being stopped: a
// write that was cut off would leave in doubt what is known.
func (d *delivery) save(ctx context.Context) error {
	err := d.records.Save(context.WithoutCancel(ctx), *d.record)
	if err == nil {
		d.confirmed = d.line.now()
	}
	return err
}

// confirmedFor is how long a write of the record proves enough that the job is
// this worker's to upload a file. A lease that is renewed proves less: a queue
// that loses a server may lose renewals with it, and hand the job to another.
const confirmedFor = 10 * time.Second

// reconfirm writes the record again where a wait has made the last write old.
func (d *delivery) reconfirm(ctx context.Context) error {
	if d.line.now().Sub(d.confirmed) < confirmedFor {
		return nil
	}
	return d.save(ctx)
}

package pipeline

import (
	"context"
	"fmt"
	"io"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// previewURL stands in a preview where the URL of an uploaded file will be:
// Redox gives it only with the upload.
const previewURL = "https://blob.redoxengine.com/preview-of-file-%d"

// Preview composes the message of a job as Deliver would and sends nothing. It
// reads the files' sizes and types from the store, and their bytes where they
// are embedded, when the request is opened. The caller closes what it opens.
func (p *Pipeline) Preview(ctx context.Context, asked schemas.Job) (MessageRequest, error) {
	d := &delivery{line: p, job: asked, record: &job.Record{}, progress: unwatched{}}
	defer d.close()
	if err := d.survey(ctx); err != nil {
		return MessageRequest{}, err
	}
	transfer := d.transferOf()
	d.record.Travel(transfer)
	for i := range d.record.Files {
		if transfer == schemas.Upload {
			d.record.Files[i].Uploaded(fmt.Sprintf(previewURL, i))
		}
	}
	message, err := d.compose()
	if err != nil {
		return MessageRequest{}, err
	}
	return d.messageRequest(message), nil
}

// unwatched is the Progress of a job that is not watched.
type unwatched struct{}

func (unwatched) Uploaded(*job.Record) {}
func (unwatched) Queued()              {}
func (unwatched) Admitted()            {}
func (unwatched) Waiting()             {}
func (unwatched) Moved(int)            {}
func (unwatched) Resumed()             {}
func (unwatched) Left()                {}
func (unwatched) Repeats() bool        { return true }
func (unwatched) Passed(Stage)         {}

// messageRequest addresses a message.
func (d *delivery) messageRequest(message *compose.Message) MessageRequest {
	return MessageRequest{
		SourceID:    d.job.SourceID,
		Destination: d.job.Destination,
		DataModel:   message.API == compose.DataModel,
		Path:        message.Path,
		Payload: Payload{
			ContentType: message.ContentType,
			Size:        message.Size(),
			Open: func(ctx context.Context) (io.ReadCloser, error) {
				return compose.Body(ctx, message, d.open), nil
			},
		},
	}
}

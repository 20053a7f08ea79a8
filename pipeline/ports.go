package pipeline

import (
	"context"
	"io"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Object is a file opened at its first byte.
type Object struct {
	Pin job.Pin
	// ContentType is what the store says of the object; it may be empty.
	ContentType string
	// Body yields exactly Pin.Size bytes or an error, never a short clean end.
	Body io.ReadCloser
}

// Source opens files. Every error it returns is a *fault.Fault.
type Source interface {
	// Stat learns of file what Open would, without its bytes: Body is nil.
	Stat(ctx context.Context, file schemas.File, pin *job.Pin) (*Object, error)
	// Open starts to read file. With a nil pin it takes the object as it is
	// now (within the version and etag the job itself asks for) and says which
	// one that was; with a pin it opens those bytes or fails with the code
	// "file_changed". A read that breaks midway resumes inside Body.
	Open(ctx context.Context, file schemas.File, pin *job.Pin) (*Object, error)
	// Part reads length bytes of the pinned file from offset on.
	Part(ctx context.Context, file schemas.File, pin job.Pin, offset, length int64) ([]byte, error)
}

// Payload is a body of known size that can be opened again for another try.
type Payload struct {
	ContentType string
	// Size is the exact number of bytes Open's reader yields.
	Size int64
	Open func(ctx context.Context) (io.ReadCloser, error)
	// AdmittedAt is when the right to the request was given.
	AdmittedAt time.Time
}

// UploadRequest is one file on its way to Redox's blob store.
type UploadRequest struct {
	SourceID string
	// DataModel says which of Redox's two stores takes the file: that of the
	// Data Model API, or FHIR's Binary.
	DataModel bool
	// FileName goes with a Data Model file. It is patient data.
	FileName string
	Payload
}

// MessageRequest is one message on its way to a destination.
type MessageRequest struct {
	SourceID    string
	Destination schemas.Destination
	// DataModel says which of Redox's two APIs takes the message.
	DataModel bool
	// Path is the operation's path below the destination, for instance
	// "DocumentReference/$documentreference-create".
	Path string
	Payload
}

// Redox takes files and messages. Every error it returns is a *fault.Fault,
// and the Fault of a Send says whether the message can have been taken.
type Redox interface {
	// Admit waits until one more request of the class may be made, and takes
	// that right: an Upload or a Send is to follow soon.
	Admit(ctx context.Context, class schemas.Class) error
	// TryAdmit is Admit where nothing is to be waited for; false where something is.
	TryAdmit(class schemas.Class) bool
	// Authorize makes sure that a token is at hand, so that a slow token
	// endpoint does not hold a file open.
	Authorize(ctx context.Context) error
	// Upload stores a file and gives the URL that names it in a message.
	Upload(ctx context.Context, request UploadRequest) (url string, err error)
	// Send posts a message. A receipt means that Redox has durably queued it.
	Send(ctx context.Context, request MessageRequest) (schemas.Receipt, error)
}

// RecordStore keeps the record of the one job in hand.
type RecordStore interface {
	// Save replaces the record if no other worker has changed it since, else it
	// fails with a fault of kind superseded. A fault of scope ledger means that
	// nothing can be proven and nothing may be sent.
	Save(ctx context.Context, record job.Record) error
	// CheckLease fails with a fault of kind superseded when the lease of the job has
	// ended without a renewal, so that another worker may have the job by now.
	CheckLease() error
}

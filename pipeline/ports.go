package pipeline

import (
	"context"
	"io"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// Pin names the exact bytes of a file, so that a later try sends the same ones.
type Pin struct {
	// VersionID is set where the bucket keeps versions, else ETag alone pins.
	VersionID string `json:"version_id,omitempty"`
	// ETag is S3's entity tag with its quotes. It is compared, never computed:
	// it is no MD5 for multipart or KMS-encrypted objects.
	ETag string `json:"etag,omitempty"`
	// Size is in bytes.
	Size int64 `json:"size"`

	Unknown versioned.Unknown `json:",embed"`
}

// Object is a file opened at its first byte.
type Object struct {
	Pin Pin
	// ContentType is what the store says of the object; it may be empty.
	ContentType string
	// Body yields exactly Pin.Size bytes or an error, never a short clean end.
	Body io.ReadCloser
}

// Source opens files. Every error it returns is a *fault.Fault.
type Source interface {
	// Stat learns of file what Open would, without its bytes: Body is nil.
	Stat(ctx context.Context, file schemas.File, pin *Pin) (*Object, error)
	// Open starts to read file. With a nil pin it takes the object as it is
	// now (within the version and etag the job itself asks for) and says which
	// one that was; with a pin it opens those bytes or fails with the code
	// "file_changed". A read that breaks midway resumes inside Body.
	Open(ctx context.Context, file schemas.File, pin *Pin) (*Object, error)
	// Part reads length bytes of the pinned file from offset on.
	Part(ctx context.Context, file schemas.File, pin Pin, offset, length int64) ([]byte, error)
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

// Parcel is one file on its way to Redox's blob store.
type Parcel struct {
	SourceID string
	// DataModel says which of Redox's two stores takes the file: that of the
	// Data Model API, or FHIR's Binary.
	DataModel bool
	// FileName goes with a Data Model file. It is patient data.
	FileName string
	Payload
}

// Letter is one message on its way to a destination.
type Letter struct {
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
	Upload(ctx context.Context, parcel Parcel) (url string, err error)
	// Send posts a message. A receipt means that Redox has durably queued it.
	Send(ctx context.Context, letter Letter) (schemas.Receipt, error)
}

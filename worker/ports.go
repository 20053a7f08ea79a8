package worker

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// Delivery is one copy of a job, leased to this worker.
type Delivery interface {
	Lane() schemas.Lane
	// Data is the job as it was published.
	Data() []byte
	// Sequence is the copy's place in the stream; a redelivery keeps it.
	Sequence() uint64
	// Stored is when the server stored the copy, by the server's clock. With
	// the sequence it tells the copy from every other, also from one of a
	// stream that was deleted and made again, which counts from 1.
	Stored() time.Time
	// Attempt is the number that a schedule of the job gave the copy that it brought
	// back. It is 0 for a copy that a publisher sent, whatever that says of itself.
	Attempt(job schemas.JobKey) int
	// Line is the line of a backfill run that the copy was published for. A
	// submitter cannot set it.
	Line() Line
	// Pending is how many jobs waited behind this one in its lane.
	Pending() uint64
	// Trace is the trace that the copy came with.
	Trace() schemas.Trace
	// Extend renews the lease.
	Extend() error
	// Ack ends the copy; nil means that the server has confirmed it.
	Ack(ctx context.Context) error
	// GiveBack ends the lease, so that the copy is delivered again after delay.
	GiveBack(delay time.Duration) error
}

type (
	// Depth is how many jobs a lane holds.
	Depth = lanes.Depth
	// Offer is what the queue tells of lanes.
	Offer = lanes.Offer
)

// Answer is what came of an Ask: a delivery, or the end of the asking.
type Answer struct {
	Lane schemas.Lane
	// Ask is the ask's number, 0 for a delivery whose ask is over.
	Ask      uint64
	Delivery Delivery
	// Done ends the ask; Unfilled is how many deliveries did not come, and
	// Refused says that the queue would not serve it: the lane may be gone.
	Done     bool
	Unfilled int
	Refused  bool
}

// Intake takes jobs from lanes. Nothing is delivered that was not asked for.
type Intake interface {
	// Offer is what the queue last told of the lanes. One that is not in it must not
	// be asked.
	Offer() Offer
	// Offered gets a value when there is a newer offer.
	Offered() <-chan struct{}
	// Ask requests up to n jobs of lane; what has not come after wait does not
	// come any more. It returns at once with the number of the ask. A lane has
	// one open ask at a time.
	Ask(lane schemas.Lane, n int, wait time.Duration) (ask uint64, err error)
	// Answers carries what the asks bring.
	Answers() <-chan Answer
	// Stop gives up all asks and gives back what still arrives.
	Stop()
}

// DeadLetter is a job that needs a person.
type DeadLetter struct {
	Lane schemas.Lane
	Data []byte
	// Key is the same for every burial of the same end of the same copy, and of
	// no other.
	Key   string
	JobID string
	// After is the job that this one comes after; empty where it names none.
	After             string
	Status            schemas.Status
	Reason            schemas.Reason
	PossibleDuplicate bool
	// Line is that of the copy.
	Line Line
}

// Key names the job.
func (s Schedule) Key() schemas.JobKey { return schemas.KeyOf(s.Lane, s.JobID) }

// Schedule brings a job back to its lane.
type Schedule struct {
	Lane  schemas.Lane
	JobID string
	Data  []byte
	// Attempt is the number the job is to start when it is back.
	Attempt int
	Line    Line
	At      time.Time
}

// Outbox publishes. Each call returns once the server has stored the message,
// or fails after having tried for as long as the context allows; a message that
// was stored twice is dropped by its id.
type Outbox interface {
	Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error
	Bury(ctx context.Context, letter DeadLetter) error
	Later(ctx context.Context, schedule Schedule) error
	// Holds reports whether the queue still has the copy that was stored at that
	// time with this sequence, or a schedule of the job.
	Holds(ctx context.Context, sequence uint64, stored time.Time, job schemas.JobKey) (bool, error)
}

// Clock is the queue's, which is the same for all workers and by which schedules
// come back.
type Clock interface {
	// Now is what the queue's clock says; known is false before it was heard of.
	Now() (now time.Time, known bool)
}

// Entry is the ledger's record of one job, open for compare-and-set.
type Entry interface {
	// Record is the record as it was found or made.
	Record() job.Record
	// Save is pipeline.RecordStore's.
	Save(ctx context.Context, record job.Record) error
}

// Ledger remembers jobs, and who makes which document.
type Ledger interface {
	Records
	Documents
}

// Records remembers jobs.
type Records interface {
	// Open makes a record for the job if there is none, and says whether it
	// did; otherwise the entry holds what was found.
	Open(ctx context.Context, key schemas.JobKey, fresh job.Record) (entry Entry, created bool, err error)
	// Find reads the record of a job without touching it; ok is false where the
	// ledger knows nothing of the job.
	Find(ctx context.Context, key schemas.JobKey) (record job.Record, ok bool, err error)
}

// Documents remembers which jobs make a document.
type Documents interface {
	// Makes remembers a job as one that makes a document, and gives all that do.
	Makes(ctx context.Context, document DocumentKey, one job.Maker) (job.Makers, error)
	// Makers gives the jobs that make a document.
	Makers(ctx context.Context, document DocumentKey) (job.Makers, error)
}

// DocumentKey names a document of a destination without saying anything of it.
type DocumentKey struct {
	Destination string
	// Digest is the SHA-256 of the document's identifier.
	Digest [sha256.Size]byte
}

// Deliverer is the pipeline.
type Deliverer interface {
	Understand(lane schemas.Lane, data []byte) (pipeline.Understood, error)
	Deliver(ctx context.Context, class schemas.Class, understood pipeline.Understood, record *job.Record, records pipeline.RecordStore, progress pipeline.Progress) error
}

package intake

import (
	"context"
	"errors"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Claim says that a job is being submitted, or was. It holds nothing of the job's
// content but its digest.
type Claim struct {
	// Digest is the hex SHA-256 of the job.
	Digest string
	Class  schemas.Class
	// Token is random, and the id of the one message that this claim stands for.
	Token string
	// Made is when the queue stored the claim, Age how long ago that was by the queue's
	// clock, and Revision what a change is compared with.
	Made     time.Time
	Age      time.Duration
	Revision uint64
}

// Claims keeps a claim per job. Every change is a compare-and-set at the leader.
type Claims interface {
	// Make stores a claim if there is none, and gives the one that stands: made reports
	// whether it is the given one, also where the answer to a first try was lost.
	Make(ctx context.Context, job schemas.JobKey, claim Claim) (stands Claim, made bool, err error)
	// Replace stores a claim in place of old; false where another stands by now.
	Replace(ctx context.Context, job schemas.JobKey, old, claim Claim) (stands Claim, replaced bool, err error)
	// Find reads the claim of a job; false where there is none.
	Find(ctx context.Context, job schemas.JobKey) (Claim, bool, error)
	// Drop removes a claim whose job was certainly not published. It is a courtesy: one
	// that stays is taken over.
	Drop(ctx context.Context, job schemas.JobKey, claim Claim)
}

// ErrNotStored is in the chain of a Publish after which the job is certainly not in the
// queue.
var ErrNotStored = errors.New("the queue did not take the job")

// Queue holds the jobs that no worker has taken.
type Queue interface {
	// Publish sends the job to the queue once, with the claim's token, and returns when the
	// queue has confirmed it. It builds the message: nothing of the caller's but the data
	// and the trace of ctx is in it.
	Publish(ctx context.Context, lane schemas.Lane, claim Claim, data []byte) error
	// Holds reports whether the message of a claim is in its lane.
	Holds(ctx context.Context, lane schemas.Lane, claim Claim) (bool, error)
	// Depth is how many jobs wait in a lane.
	Depth(ctx context.Context, lane schemas.Lane) (uint64, error)
}

// Known is what the ledger says of a job.
type Known struct {
	// Digest is the hex SHA-256 of the job as it was published.
	Digest string
	// Phase is how far it has come, a word of the record's; Final ones do not change.
	Phase string
	Final bool
}

// Ledger remembers the jobs that workers have taken.
type Ledger interface {
	Find(ctx context.Context, job schemas.JobKey) (Known, bool, error)
}

// Depths bounds how many jobs may wait in a lane.
type Depths interface {
	// Room refuses a job to a lane that is full.
	Room(ctx context.Context, lane schemas.Lane) error
}

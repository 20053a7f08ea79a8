// Package deadletter is what an operator does with dead letters.
//
// Every step may be interrupted and repeated, and two operators may be at the
// same letter: what is decided goes to the job's record by compare-and-set first,
// and the letter is removed last.
package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Letters are the dead letters of a deployment.
type Letters interface {
	Letters(ctx context.Context, each func(natsq.Letter) bool) error
	Content(ctx context.Context, letter natsq.Letter) ([]byte, error)
	Remove(ctx context.Context, letter natsq.Letter) error
}

// Publisher publishes jobs and events, and finds jobs in the queue.
type Publisher interface {
	Resubmit(ctx context.Context, lane schemas.Lane, id string, line worker.Line, data []byte) error
	Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error
	// Holds is worker.Outbox's.
	Holds(ctx context.Context, sequence uint64, stored time.Time, job schemas.JobKey) (bool, error)
}

// Ledger is the worker's, and can be looked into.
type Ledger interface {
	worker.Records
}

// Service is where an operator decides.
type Service struct {
	Letters   Letters
	Publisher Publisher
	Ledger    Ledger
	// Prefix is the deployment's.
	Prefix string
	// By is who decides; the records name it.
	By  string
	Now func() time.Time
	// Before is told of each letter that something is about to be done with, when
	// all was looked at and nothing changed. Its error stops what was to be done.
	// nil is none.
	Before func(ctx context.Context, letter natsq.Letter) error
}

// CodeResolved is the reason's code in the accepted event of a job that an
// operator found at Redox.
const CodeResolved = "resolved_by_operator"

// CodeFound is that of a job which was found by counting Redox's logs.
const CodeFound = "found_in_redox_logs"

// Outcome is what was done.
type Outcome string

const (
	// Resent: the job is on its way to its lane.
	Resent Outcome = "resent"
	// ResentForgotten: it is, and the ledger has forgotten it. It may have been
	// accepted since, so that its events say that it may be there twice.
	ResentForgotten Outcome = "resent, forgotten"
	// UnderWay: the job was on its way already; its dead letter was removed.
	UnderWay Outcome = "under way"
	// Accepted: the job counts as accepted.
	Accepted Outcome = "accepted"
	// Dropped: the dead letter was removed, and the job with it.
	Dropped Outcome = "dropped"
	// Gone: somebody else had removed the dead letter.
	Gone Outcome = "gone"
)

// Refusal is why nothing was done: nothing was changed.
type Refusal struct {
	// Code is a stable snake_case word, Text one sentence for people.
	Code, Text string
}

func (r *Refusal) Error() string { return r.Text }

// Refusals.
var (
	// ErrNone is that of a job without a dead letter.
	ErrNone = &Refusal{"none", "there is no dead letter of this job"}

	errAccepted = &Refusal{"accepted_since", "the ledger says that the job has been accepted since; nothing was done"}
	errUnderWay = &Refusal{"under_way", "the job is under way again; nothing was done"}
	errOther    = &Refusal{"other_version", "the ledger speaks of another job under this id, or of another version of it; nothing was done"}
	errExpired  = &Refusal{"expired", "the job's expires_at has passed, so that it would fail instead of being sent; nothing was done"}
	errUnknown  = &Refusal{"unknown_outcome", "Redox may have the message already; nothing was done"}
	errReused   = &Refusal{"id_reused", "it is another job under an id that was taken; publish it under an id of its own; nothing was done"}
	errAddress  = &Refusal{"misaddressed", "it came on a subject that is not its destination's; publish it on its own; nothing was done"}
	errPoison   = &Refusal{"not_understood", "the job cannot be understood, so that it would fail again; fix it and publish it; nothing was done"}
	errRace     = &Refusal{"race", "somebody else has changed the job's record at this moment; look again"}
)

func notUnknown(status schemas.Status) error {
	return &Refusal{"not_unknown", "the job is not unknown but " + string(status) + "; nothing was done"}
}

func endedSince(status schemas.Status) error {
	return &Refusal{"ended_since", "the job has ended as " + string(status) + " since; nothing was done"}
}

func (d *Service) before(ctx context.Context, letter natsq.Letter) error {
	if d.Before == nil {
		return nil
	}
	return d.Before(ctx, letter)
}

// open reads the job's record. Where the ledger has forgotten the job, one that
// says what the letter says takes its place: without it, the job would be sent
// again as if for the first time. twice is for a job that is about to be sent: a
// letter outlives the record of what became of the job since, so that a made
// record says that the message may be there already.
func (d *Service) open(ctx context.Context, letter natsq.Letter, data []byte, twice bool) (page worker.Entry, made bool, err error) {
	fresh := job.Remembered(letter.Status, digest(data), attemptOf(letter), letter.PossibleDuplicate || twice)
	page, made, err = d.Ledger.Open(ctx, letter.Job(), fresh.Because(letter.Reason).WrittenBy(d.By, d.Now()))
	if err != nil {
		return nil, false, err
	}
	if page.Record().Digest != digest(data) {
		return nil, false, errOther
	}
	return page, made, nil
}

// digest is the one that the worker writes into records.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// keyOf reads the digest and the attempt that ended in the letter out of the
// letter's key, "dead/<sequence>/<digest>/<attempt>/<status>".
func keyOf(letter natsq.Letter) (digest string, attempt int, ok bool) {
	parts := strings.Split(letter.Key, "/")
	if len(parts) != 5 {
		return "", 0, false
	}
	n, err := strconv.Atoi(parts[3])
	return parts[2], n, err == nil
}

// attemptOf is at least 1: the events of a later attempt must not have the ids of
// earlier ones.
func attemptOf(letter natsq.Letter) int {
	_, n, _ := keyOf(letter)
	return max(n, 1)
}

func save(ctx context.Context, page worker.Entry, record job.Record) error {
	err := page.Save(ctx, record)
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Kind == fault.Superseded {
		return errRace
	}
	return err
}

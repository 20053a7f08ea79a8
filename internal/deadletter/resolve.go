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
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Letters are the dead letters of a deployment.
type Letters interface {
	Letters(ctx context.Context, each func(natsq.Letter) bool) error
	Content(ctx context.Context, letter natsq.Letter) ([]byte, error)
	Remove(ctx context.Context, letter natsq.Letter) error
}

// Publisher publishes jobs and events.
type Publisher interface {
	Submit(ctx context.Context, lane schemas.Lane, id string, data []byte) (known bool, err error)
	Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error
}

// Desk is where an operator decides.
type Desk struct {
	Letters   Letters
	Publisher Publisher
	Ledger    worker.Ledger
	// Prefix is the deployment's.
	Prefix string
	// By is who decides; the records name it.
	By  string
	Now func() time.Time
}

// CodeResolved is the reason's code in the accepted event of a job that an
// operator found at Redox.
const CodeResolved = "resolved_by_operator"

// Outcome is what was done.
type Outcome string

const (
	// Resent: the job is on its way to its lane.
	Resent Outcome = "resent"
	// UnderWay: the job was on its way already; its dead letter was removed.
	UnderWay Outcome = "under way"
	// Accepted: the job counts as accepted.
	Accepted Outcome = "accepted"
)

// Errors of jobs that cannot be resolved. Nothing was changed.
var (
	errNone     = errors.New("there is no dead letter of this job")
	errAccepted = errors.New("the ledger says that the job has been accepted since; nothing was done")
	errUnderWay = errors.New("the job is under way again; nothing was done")
	errOther    = errors.New("the ledger speaks of another job under this id, or of another version of it; nothing was done")
	errExpired  = errors.New("the job's expires_at has passed, so that it would fail instead of being sent; nothing was done")
	errRace     = errors.New("somebody else has changed the job's record at this moment; look again")
)

// find gives the newest dead letter of a job of unknown outcome, and its content.
func (d *Desk) find(ctx context.Context, jobID string) (letter natsq.Letter, data []byte, err error) {
	found := map[schemas.Status]natsq.Letter{}
	var last schemas.Status
	err = d.Letters.Letters(ctx, func(l natsq.Letter) bool {
		if l.JobID == jobID {
			found[l.Status], last = l, l.Status
		}
		return true
	})
	letter, unknown := found[schemas.StatusUnknown]
	switch {
	case err != nil:
		return letter, nil, err
	case len(found) == 0:
		return letter, nil, errNone
	case !unknown:
		return letter, nil, notUnknown(last)
	}
	data, err = d.Letters.Content(ctx, letter)
	if errors.Is(err, natsq.ErrNoLetter) {
		return letter, nil, errNone
	}
	return letter, data, err
}

func notUnknown(status schemas.Status) error {
	return fmt.Errorf("the job is not unknown but %s; nothing was done", status)
}

// open reads the job's record. Where the ledger has forgotten the job, one that
// says what the letter says takes its place: without it, the job would be sent
// again as if for the first time.
func (d *Desk) open(ctx context.Context, letter natsq.Letter, data []byte) (worker.Page, error) {
	page, _, err := d.Ledger.Open(ctx, letter.JobID, pipeline.Record{
		Phase: pipeline.Held, Attempt: attemptOf(letter), Digest: digest(data), Owner: d.By, PossibleDuplicate: letter.PossibleDuplicate,
		Reason: &letter.Reason, UpdatedAt: d.Now().UTC(),
	})
	if err != nil {
		return nil, err
	}
	if page.Record().Digest != digest(data) {
		return nil, errOther
	}
	return page, nil
}

// undecided is a job of unknown outcome: its letter, and its record.
type undecided struct {
	letter natsq.Letter
	data   []byte
	job    schemas.Job
	page   worker.Page
}

func (d *Desk) take(ctx context.Context, jobID string) (c undecided, err error) {
	if c.letter, c.data, err = d.find(ctx, jobID); err != nil {
		return c, err
	}
	if c.job, err = schemas.DecodeJob(c.data); err != nil {
		return c, fmt.Errorf("the job in the dead letter: %w", err)
	}
	c.page, err = d.open(ctx, c.letter, c.data)
	return c, err
}

// digest is the one that the worker writes into records.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// attemptOf reads the attempt that ended in the letter out of the letter's key,
// "dead/<sequence>/<digest>/<attempt>/<status>". The events of a later attempt
// must not have the ids of earlier ones.
func attemptOf(letter natsq.Letter) int {
	parts := strings.Split(letter.Key, "/")
	if len(parts) != 5 {
		return 1
	}
	n, err := strconv.Atoi(parts[3])
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// Resend publishes the job of an unknown outcome to its lane again, as it came.
// Its record says from before the publish on that the message may be there
// twice, and the worker's events repeat it.
//
// A second Resend of the same letter publishes nothing as long as the stream
// remembers ids, and none does once a worker has taken the job.
func (d *Desk) Resend(ctx context.Context, jobID string) (Outcome, error) {
	c, err := d.take(ctx, jobID)
	if err != nil {
		return "", err
	}
	letter, page := c.letter, c.page
	record := page.Record()
	switch {
	case record.Phase == pipeline.Accepted:
		return "", errAccepted
	case !record.Phase.Final():
		return UnderWay, d.Letters.Remove(ctx, letter)
	case record.Phase != pipeline.Held:
		return "", notUnknown(schemas.Status(record.Phase))
	case d.Now().After(c.job.Deadline()):
		return "", errExpired
	}
	record.PossibleDuplicate, record.Owner, record.UpdatedAt = true, d.By, d.Now().UTC()
	if err := save(ctx, page, record); err != nil {
		return "", err
	}
	// Not the job's own id, which the stream may still remember.
	id := fmt.Sprintf("resend/%d/%d", letter.Sequence, letter.Buried.UnixNano())
	if _, err := d.Publisher.Submit(ctx, letter.Lane, id, c.data); err != nil {
		return "", fmt.Errorf("publishing the job: %w", err)
	}
	return Resent, d.Letters.Remove(ctx, letter)
}

// Accept ends a job of unknown outcome as accepted: a person has found the
// message at Redox. Its event has a reason in place of a receipt.
func (d *Desk) Accept(ctx context.Context, jobID string) (Outcome, error) {
	c, err := d.take(ctx, jobID)
	if err != nil {
		return "", err
	}
	letter, page := c.letter, c.page
	record := page.Record()
	switch {
	case record.Phase == pipeline.Held:
		record.Phase, record.Receipt, record.NextAttemptAt = pipeline.Accepted, nil, time.Time{}
		record.Reason = &schemas.Reason{Kind: string(fault.UnknownOutcome), Code: CodeResolved, Text: "an operator found that Redox has the message"}
		record.Owner, record.UpdatedAt = d.By, d.Now().UTC()
		if err := save(ctx, page, record); err != nil {
			return "", err
		}
	case record.Phase == pipeline.Accepted && record.Reason != nil && record.Reason.Code == CodeResolved:
		// Interrupted before: what follows is done again.
	case record.Phase == pipeline.Accepted:
		return "", errAccepted
	case !record.Phase.Final():
		return "", errUnderWay
	default:
		return "", notUnknown(schemas.Status(record.Phase))
	}
	if err := d.Publisher.Tell(ctx, letter.Lane, d.event(letter, c.job, record)); err != nil {
		return "", fmt.Errorf("publishing the event: %w", err)
	}
	return Accepted, d.Letters.Remove(ctx, letter)
}

// event is the same for every repeat.
func (d *Desk) event(letter natsq.Letter, job schemas.Job, record pipeline.Record) schemas.Event {
	return schemas.NewEvent(d.Prefix, schemas.EventData{
		JobID: letter.JobID, Operation: job.Operation, Class: letter.Lane.Class, Destination: letter.Lane.Destination,
		Status: schemas.StatusAccepted, Attempt: record.Attempt, Reason: record.Reason, PossibleDuplicate: record.PossibleDuplicate,
		Files: record.EventFiles(), Correlation: job.Correlation,
	}, record.UpdatedAt)
}

func save(ctx context.Context, page worker.Page, record pipeline.Record) error {
	err := page.Save(ctx, record)
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Kind == fault.Superseded {
		return errRace
	}
	return err
}

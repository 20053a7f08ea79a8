package deadletter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// find gives the newest dead letter of a job of unknown outcome. A key without a
// destination names the one job of that id that has dead letters.
func (d *Service) find(ctx context.Context, asked schemas.JobKey) (natsq.Letter, error) {
	found := map[schemas.Status]natsq.Letter{}
	var last schemas.Status
	destinations := map[string]bool{}
	err := d.Letters.Letters(ctx, func(l natsq.Letter) bool {
		if l.JobID == asked.ID && (asked.Destination == "" || asked.Destination == l.Lane.Destination) {
			found[l.Status], last = l, l.Status
			destinations[l.Lane.Destination] = true
		}
		return true
	})
	letter, unknown := found[schemas.StatusUnknown]
	switch {
	case err != nil:
		return letter, err
	case len(destinations) > 1:
		return letter, Ambiguous(asked.ID, slices.Sorted(maps.Keys(destinations)))
	case len(found) == 0:
		return letter, ErrNone
	case !unknown:
		return letter, notUnknown(last)
	}
	return letter, nil
}

// Ambiguous refuses an id of which several destinations have a dead letter.
func Ambiguous(id string, destinations []string) *Refusal {
	var jobs []string
	for _, destination := range destinations {
		jobs = append(jobs, destination+"/"+id)
	}
	return &Refusal{"ambiguous", "several destinations have a dead letter of this id; name one of " + strings.Join(jobs, ", ")}
}

// Resend publishes the job of an unknown outcome to its lane again, as it came.
// Its record says from before the publish on that the message may be there
// twice, and the worker's events repeat it.
//
// A second Resend of the same letter publishes nothing as long as the stream
// remembers ids, and none does once a worker has taken the job.
func (d *Service) Resend(ctx context.Context, asked schemas.JobKey) (Outcome, error) {
	letter, err := d.find(ctx, asked)
	if err != nil {
		return "", err
	}
	outcome, err := d.Replay(ctx, letter, Terms{Unknown: true})
	if outcome == Gone {
		return "", ErrNone
	}
	return outcome, err
}

// Accept ends a job of unknown outcome as accepted: a person has found the
// message at Redox. Its event has a reason in place of a receipt.
func (d *Service) Accept(ctx context.Context, key schemas.JobKey) (Outcome, error) {
	return d.AcceptFor(ctx, key, schemas.Reason{
		Kind: string(fault.UnknownOutcome), Code: CodeResolved, Text: "an operator found that Redox has the message",
	}, nil)
}

// AcceptFor does as Accept does, for a reason with the code CodeResolved or CodeFound,
// and with the evidence that the event is to carry, or nil.
func (d *Service) AcceptFor(ctx context.Context, key schemas.JobKey, reason schemas.Reason, evidence *schemas.Evidence) (Outcome, error) {
	letter, err := d.find(ctx, key)
	if err != nil {
		return "", err
	}
	data, err := d.Letters.Content(ctx, letter)
	if errors.Is(err, natsq.ErrNoLetter) {
		return "", ErrNone
	}
	if err != nil {
		return "", err
	}
	asked, err := schemas.DecodeJob(data)
	if err != nil {
		return "", fmt.Errorf("the job in the dead letter: %w", err)
	}
	record, known, err := d.Ledger.Find(ctx, letter.Job())
	if err == nil && known {
		err = acceptable(record, data)
	}
	if err == nil {
		err = d.before(ctx, letter)
	}
	if err != nil {
		return "", err
	}
	if record, err = d.accept(ctx, letter, data, reason); err != nil {
		return "", err
	}
	event := d.event(letter, asked, record, evidence)
	if err := d.Publisher.Tell(schemas.WithTrace(ctx, letter.Trace), letter.Lane, event); err != nil {
		return "", fmt.Errorf("publishing the event: %w", err)
	}
	return Accepted, d.Letters.Remove(ctx, letter)
}

// acceptable reports whether a job with that record can count as accepted, or does
// so by a decision that was interrupted.
func acceptable(record job.Record, data []byte) error {
	switch {
	case record.Digest != digest(data):
		return errOther
	case record.Phase == job.Held || resolved(record):
		return nil
	case record.Phase == job.Accepted:
		return errAccepted
	case !record.Phase.Final():
		return errUnderWay
	}
	return notUnknown(schemas.Status(record.Phase))
}

// resolved reports whether the job was accepted by AcceptFor.
func resolved(record job.Record) bool {
	return record.Phase == job.Accepted && record.Reason != nil && (record.Reason.Code == CodeResolved || record.Reason.Code == CodeFound)
}

// accept writes the decision into the record.
func (d *Service) accept(ctx context.Context, letter natsq.Letter, data []byte, reason schemas.Reason) (job.Record, error) {
	page, _, err := d.open(ctx, letter, data, false)
	if err != nil {
		return job.Record{}, err
	}
	record := page.Record()
	if err := acceptable(record, data); err != nil || resolved(record) {
		return record, err
	}
	record.Resolve(reason)
	record = record.WrittenBy(d.By, d.Now())
	return record, save(ctx, page, record)
}

// event is the same for every repeat, except for the evidence.
func (d *Service) event(letter natsq.Letter, asked schemas.Job, record job.Record, evidence *schemas.Evidence) schemas.Event {
	return schemas.NewEvent(d.Prefix, schemas.EventData{
		JobID: letter.JobID, Operation: asked.Operation, Class: letter.Lane.Class, Destination: letter.Lane.Destination,
		Status: schemas.StatusAccepted, Attempt: record.Attempt, Reason: record.Reason, PossibleDuplicate: record.PossibleDuplicate,
		Files: record.EventFiles(), Evidence: evidence, Correlation: asked.Correlation,
	}, record.UpdatedAt)
}

package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Terms say how a job is published again.
type Terms struct {
	// Unknown sends also what Redox may have already; the events of such a job say
	// so from then on.
	Unknown bool
	// Expires takes the place of the job's expires_at; the zero time leaves it.
	Expires time.Time
	// DryRun looks at everything and changes nothing.
	DryRun bool
}

// Replay publishes the job of a dead letter to its lane again and removes the
// letter once the publish is confirmed. A death in between leaves both: a Replay
// of the same letter then publishes nothing for as long as the stream remembers
// ids, and none once a worker has taken the job.
//
// A job that is under way by its record is published all the same where the queue
// holds no copy of it, as after a restore: the letter would be the last one.
//
// A job that the ledger has forgotten may have been accepted since: its events say
// from then on that it may be there twice.
//
// older are letters of the same job as letter's that go with it. The job begins
// with the attempt after the one that ended in the letter. Errors that are no
// *Refusal leave it open how far it came; the letter is there then.
func (d *Service) Replay(ctx context.Context, letter natsq.Letter, terms Terms, older ...natsq.Letter) (Outcome, error) {
	data, err := d.Letters.Content(ctx, letter)
	if errors.Is(err, natsq.ErrNoLetter) {
		return Gone, nil
	}
	if err != nil {
		return "", err
	}
	asked, err := schemas.DecodeJob(data)
	if err != nil {
		return "", errPoison
	}
	letter.JobID = asked.ID // a letter without headers has none
	record, known, err := d.Ledger.Find(ctx, letter.Job())
	if err != nil {
		return "", err
	}
	if !known {
		record = job.Remembered(letter.Status, digest(data), attemptOf(letter), letter.PossibleDuplicate)
	}
	outcome, err := d.consider(ctx, letter, asked, data, record, terms)
	if err == nil && outcome == Resent && !known {
		outcome = ResentForgotten
	}
	if err != nil || terms.DryRun {
		return outcome, err
	}
	if err := d.before(ctx, letter); err != nil {
		return "", err
	}
	if outcome != UnderWay {
		if outcome, err = d.publish(ctx, letter, asked, data, terms); err != nil {
			return "", err
		}
	}
	for _, one := range append(slices.Clone(older), letter) {
		if err := d.Letters.Remove(ctx, one); err != nil {
			return "", fmt.Errorf("removing the dead letter; the job is on its way: %w", err)
		}
	}
	return outcome, nil
}

// judge says what a Replay does: Resent, UnderWay, or an error where it refuses.
func judge(letter natsq.Letter, asked schemas.Job, data []byte, record job.Record, terms Terms, now time.Time) (Outcome, error) {
	ended := schemas.Status(record.Phase)
	switch {
	case letter.Status == schemas.StatusDuplicate:
		return "", errReused
	case letter.Lane.Destination != asked.Destination.Address():
		return "", errAddress
	case record.Phase == job.Accepted:
		// Also with other content under the id: a run with --only-failed gives its jobs
		// another expires_at.
		return "", errAccepted
	case record.Digest != digest(data):
		return "", errOther
	case !record.Phase.Final():
		return UnderWay, nil
	case letter.Status == schemas.StatusUnknown && ended != schemas.StatusUnknown:
		return "", notUnknown(ended)
	case letter.Status != "" && letter.Status != ended:
		return "", endedSince(ended)
	case record.Phase == job.Held && !terms.Unknown:
		return "", errUnknown
	case terms.Expires.IsZero() && now.After(asked.Deadline()):
		return "", errExpired
	}
	return Resent, nil
}

// consider is judge, and asks the queue whether a job that is under way by its
// record can go on: Resent where nothing would ever carry it on.
func (d *Service) consider(ctx context.Context, letter natsq.Letter, asked schemas.Job, data []byte, record job.Record, terms Terms) (Outcome, error) {
	outcome, err := judge(letter, asked, data, record, terms, d.Now())
	if err != nil || outcome != UnderWay {
		return outcome, err
	}
	held, err := d.Publisher.Holds(ctx, record.Sequence, record.Stored, letter.Job())
	if err != nil || held {
		return UnderWay, err
	}
	// A worker writes what became of a job before it takes the copy out of the
	// queue: only beside the same record is the copy lost.
	now, known, err := d.Ledger.Find(ctx, letter.Job())
	switch {
	case err != nil:
		return "", err
	case !known || now.Phase != record.Phase || !now.UpdatedAt.Equal(record.UpdatedAt):
		return "", errRace
	case terms.Expires.IsZero() && d.Now().After(asked.Deadline()):
		return "", errExpired
	}
	return Resent, nil
}

// publish writes into the record what must be known before the job runs again,
// and publishes it.
func (d *Service) publish(ctx context.Context, letter natsq.Letter, asked schemas.Job, data []byte, terms Terms) (Outcome, error) {
	body, err := expiring(data, terms.Expires)
	if err != nil {
		return "", err
	}
	page, made, err := d.open(ctx, letter, data, true)
	if err != nil {
		return "", err
	}
	record := page.Record()
	outcome, err := d.consider(ctx, letter, asked, data, record, terms)
	if err != nil || outcome != Resent {
		return outcome, err
	}
	if record.Phase.Final() {
		// A job that comes after this one must not take its last end for final.
		record.Resend(d.Now())
		if err := save(ctx, page, record.WrittenBy(d.By, d.Now())); err != nil {
			return "", err
		}
	}
	// The letter's id is random and no other letter's: what the stream drops is a repeat
	// of this, and no submitter can use it up.
	id := letter.ReplayID
	if id != "" && !record.Phase.Final() { // in place of a copy that may have been published under that id
		id += fmt.Sprintf("/%d/%d", record.Sequence, record.Stored.UnixNano())
	}
	if err := d.Publisher.Resubmit(schemas.WithTrace(ctx, letter.Trace), letter.Lane, id, letter.Line, body); err != nil {
		return "", fmt.Errorf("publishing the job: %w", err)
	}
	if made {
		outcome = ResentForgotten
	}
	return outcome, nil
}

// Drop removes a dead letter, and the job with it. The job's record and its
// events stay as they are.
func (d *Service) Drop(ctx context.Context, letter natsq.Letter) (Outcome, error) {
	_, err := d.Letters.Content(ctx, letter)
	if errors.Is(err, natsq.ErrNoLetter) {
		return Gone, nil
	}
	if err == nil {
		err = d.before(ctx, letter)
	}
	if err != nil {
		return "", err
	}
	return Dropped, d.Letters.Remove(ctx, letter)
}

// Stack is the letters of one job that hold the same content: each copy of a job
// that ends leaves one.
type Stack struct {
	Newest natsq.Letter
	Older  []natsq.Letter
}

// Stacks puts letters, which come in the order of their sequences, into stacks in
// the order of their newest.
func Stacks(letters []natsq.Letter) []Stack {
	type key struct {
		asked  schemas.JobKey
		digest string
	}
	byKey := map[key]int{}
	stacks := make([]Stack, 0, len(letters))
	for _, l := range letters {
		sum, _, ok := keyOf(l)
		k := key{l.Job(), sum}
		i, seen := byKey[k]
		if !ok || l.JobID == "" || l.Status == schemas.StatusDuplicate {
			stacks = append(stacks, Stack{Newest: l})
			continue
		}
		next := Stack{Newest: l}
		if seen {
			next.Older = append(stacks[i].Older, stacks[i].Newest)
			stacks[i] = Stack{}
		}
		byKey[k] = len(stacks)
		stacks = append(stacks, next)
	}
	return slices.DeleteFunc(stacks, func(s Stack) bool { return s.Newest.Sequence == 0 })
}

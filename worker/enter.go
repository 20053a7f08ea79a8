package worker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// key names the job: by the lane it came on, whatever it says itself.
func (r *jobRun) key() schemas.JobKey { return schemas.KeyOf(r.delivery.Lane(), r.job.ID) }

// identify notes what tells the copy from others of the job.
func (r *jobRun) identify() {
	sum := sha256.Sum256(r.delivery.Data())
	r.copy = job.Copy{Sequence: r.delivery.Sequence(), Stored: r.delivery.Stored(), Digest: hex.EncodeToString(sum[:])}
	if r.job.ID != "" {
		r.copy.Attempt = r.delivery.Attempt(r.key())
	}
}

// open asks the ledger for the job's record, and says what this copy means beside it.
func (r *jobRun) open(ctx context.Context) (kind job.CopyKind, err error) {
	err = r.step(StepAdmit, func() (err error) {
		kind, err = r.classify(ctx)
		return err
	})
	return kind, err
}

func (r *jobRun) classify(ctx context.Context) (job.CopyKind, error) {
	s := r.services
	if _, known := s.queueNow(); !known {
		return "", queueFault("the queue's time is not known, by which deadlines are judged", nil)
	}
	entry, created, err := s.ledger.Open(ctx, r.key(), job.Fresh(r.copy, s.name, s.now()))
	if err != nil {
		return "", err
	}
	r.entry, r.record = entry, entry.Record()
	if created {
		return job.New, nil
	}
	kind := job.Classify(r.record, r.copy, job.NotAsked)
	if kind != job.NeedsLookup {
		return kind, nil
	}
	there, err := s.outbox.Holds(ctx, r.record.Sequence, r.record.Stored, r.key())
	if err != nil {
		return "", queueFault("it could not be learned whether another copy of the job is there", err)
	}
	if there {
		return job.Classify(r.record, r.copy, job.Present), nil
	}
	return job.Classify(r.record, r.copy, job.Gone), nil
}

// claim writes this worker into the record: from then on no other's writes succeed.
func (r *jobRun) claim(ctx context.Context, kind job.CopyKind) error {
	if kind == job.New {
		return nil
	}
	if kind == job.Next {
		r.before = r.record.Reason
	}
	r.record.Claim(kind, r.copy)
	return r.save(ctx)
}

// refusal is why the job is not tried at all: what the reading of it has found, or
// something that ends it first. An error means that it could not be learned.
func (r *jobRun) refusal(ctx context.Context, found error) (refusal, err error) {
	run := r.backfillRun(ctx)
	switch {
	case run.Unknown != nil:
		return nil, run.Unknown
	case run.Cancelled:
		return job.RunCancelled(), nil
	}
	if f := r.record.Abandonment(); f != nil {
		return f, nil
	}
	if now, _ := r.services.queueNow(); found == nil && now.After(r.job.Deadline()) {
		return job.Overdue(r.job.Job, r.before), nil
	}
	return found, nil
}

// backfillRun is what is known of the backfill run of this copy.
func (r *jobRun) backfillRun(ctx context.Context) job.Run {
	line := r.delivery.Line()
	if line.Replayed {
		return job.Run{}
	}
	cancelled, err := r.services.runs.has(ctx, line.Run)
	if err != nil {
		return job.Run{Unknown: queueFault("it could not be learned whether the backfill run of the job was cancelled", err)}
	}
	return job.Run{Cancelled: cancelled}
}

// precede looks for the job that this one comes after. The fault says that this one
// waits for it or ends; it is nil where the job goes on.
func (r *jobRun) precede(ctx context.Context) (*fault.Fault, error) {
	document := r.job.Document()
	byDocument := r.job.After == "" && document.Changes != ""
	if r.job.After == "" && document.Makes == "" {
		r.record.Follows("", false)
		return nil, nil
	}
	// The destination is the lane's: no other job can be learned of.
	var found *job.Record
	follows := false
	err := r.step(StepPrecede, func() error {
		after, err := r.inDocumentOrder(ctx, document)
		if err != nil {
			return err
		}
		if follows = r.record.Follows(cmp.Or(r.job.After, after), byDocument); !follows || r.record.ComesAfter() == "" {
			return nil
		}
		record, known, err := r.services.ledger.Find(ctx, schemas.KeyOf(r.delivery.Lane(), r.record.ComesAfter()))
		if known {
			found = &record
		}
		return err
	})
	if err != nil || !follows {
		return nil, err
	}
	now, _ := r.services.queueNow()
	return r.record.Await(found, now, r.services.policy, r.services.jitter()), nil
}

// inDocumentOrder remembers the job as one that makes its document, and gives the job that
// made the document which it changes; empty where it changes none, or none is known.
func (r *jobRun) inDocumentOrder(ctx context.Context, d pipeline.Document) (before string, err error) {
	if d.Makes == "" {
		return "", nil
	}
	amends := d.Changes == d.Makes
	made, err := r.services.ledger.Makes(ctx, r.documentKey(d.Makes), job.Maker{ID: r.job.ID, Amends: amends, Sequence: r.copy.Sequence})
	if err != nil || d.Changes == "" {
		return "", err
	}
	if amends {
		// The list forgets the oldest jobs. What this job came after, it still comes after.
		return cmp.Or(made.Before(r.job.ID), r.record.ComesAfter()), nil
	}
	made, err = r.services.ledger.Makers(ctx, r.documentKey(d.Changes))
	return made.Last(r.job.ID), err
}

func (r *jobRun) documentKey(document string) DocumentKey {
	return DocumentKey{Destination: r.delivery.Lane().Destination, Digest: sha256.Sum256([]byte(document))}
}

package worker

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// key names the job: by the lane it came on, whatever it says itself.
func (h *handling) key() schemas.JobKey { return schemas.KeyOf(h.delivery.Lane(), h.job.ID) }

// scheduled is the attempt that a schedule of the job gave the copy. A schedule of
// other content than that of the record gives none.
func (h *handling) scheduled() int {
	if h.page != nil && h.record.Digest != h.digest {
		return 0
	}
	return h.delivery.Attempt(h.key())
}

// fresh is the record of a job that the ledger does not know.
func (h *handling) fresh() job.Record {
	return job.Record{
		Phase:     job.Working,
		Attempt:   max(h.scheduled(), 1),
		Sequence:  h.delivery.Sequence(),
		Stored:    h.delivery.Stored(),
		Digest:    h.digest,
		Owner:     h.name,
		UpdatedAt: h.now().UTC(),
	}
}

// open asks the ledger for the job's record, and what this copy means beside it.
func (h *handling) open(ctx context.Context) (admission, error) {
	if _, known := h.queueNow(); !known {
		return "", queueFault("the queue's time is not known, by which deadlines are judged", nil)
	}
	page, created, err := h.ledger.Open(ctx, h.key(), h.fresh())
	if err != nil {
		return "", err
	}
	h.page, h.record = page, page.Record()
	if created {
		return begin, nil
	}
	return h.admission(ctx)
}

func (h *handling) admission(ctx context.Context) (admission, error) {
	c := copyOf{sequence: h.delivery.Sequence(), stored: h.delivery.Stored(), attempt: h.scheduled()}
	entry := admit(h.record, c, heldUnasked)
	if entry != ask {
		return entry, nil
	}
	there, err := h.outbox.Holds(ctx, h.record.Sequence, h.record.Stored, h.key())
	if err != nil {
		return "", queueFault("it could not be learned whether another copy of the job is there", err)
	}
	if there {
		return admit(h.record, c, heldYes), nil
	}
	return admit(h.record, c, heldNo), nil
}

// enter acts on the admission.
func (h *handling) enter(ctx context.Context, entry admission, refusal error) {
	switch entry {
	case settled:
		h.settle(ctx)
		return
	case stale:
		if h.record.Digest != h.digest {
			h.tellDuplicate(ctx, entry)
			return
		}
		h.log.Info("an old copy of a job was dropped; a newer one carries it on", "job", h.job.ID)
		h.ack(ctx)
		return
	case duplicate, concurrent:
		h.tellDuplicate(ctx, entry)
		return
	case doubt:
		h.adopt()
		h.conclude(ctx, cutOff())
		return
	case begin:
	default:
		if err := h.claim(ctx, entry); err != nil {
			h.setAside(ctx, err)
			return
		}
	}
	unwanted, err := h.runCancelled(ctx)
	switch {
	case err != nil:
		h.setAside(ctx, err)
		return
	case unwanted:
		refusal = cancelled()
	case h.record.Abandoned > mostAbandoned:
		refusal = abandoned()
	}
	h.try(ctx, refusal)
}

// adopt makes this copy the recorded one of a try that is concluded at once.
// The digest stays: it belongs to the files of the record, which the next claim
// drops if the copy is another.
func (h *handling) adopt() {
	h.record.Attempt = max(h.record.Attempt, h.scheduled())
	h.record.Sequence, h.record.Stored = h.delivery.Sequence(), h.delivery.Stored()
}

// claim writes this worker into the record: from then on nobody else's writes
// succeed.
func (h *handling) claim(ctx context.Context, entry admission) error {
	r := &h.record
	if entry == next || entry == again {
		// A schedule's own number is never behind, or its successor would be
		// dropped as a repeat of it.
		r.Attempt = max(r.Attempt+1, h.scheduled())
		r.Spared, r.Abandoned = 0, 0
	}
	if entry == resume && !r.Released {
		r.Abandoned++
	}
	r.Released = false
	if entry == again || r.Digest != h.digest {
		// A person may have mended the file or the job in between.
		r.PossibleDuplicate = r.PossibleDuplicate || r.Phase == job.Held
		r.Files, r.NoEmbed, r.Doubts, r.Predecessor, r.Suspicion = nil, false, 0, nil, nil
	}
	switch {
	case entry == again:
		r.Published = time.Time{}
	case r.Published.IsZero() && !r.Stored.Equal(h.delivery.Stored()):
		r.Published = r.Stored
	}
	if entry == next {
		h.before = r.Reason
	}
	r.Phase, r.Reason, r.NextAttemptAt, r.Resent = job.Working, nil, time.Time{}, time.Time{}
	r.Sequence, r.Stored, r.Digest = h.delivery.Sequence(), h.delivery.Stored(), h.digest
	return h.save(ctx)
}

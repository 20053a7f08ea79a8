package intake

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// pace is how long everything may take.
type pace struct {
	// submit bounds one submission, so that a caller is answered before it gives up.
	submit time.Duration
	// publish is how long after its claim a job may be published.
	publish time.Duration
	// abandoned is the age from which on a claim without a job is taken over: what its
	// publisher sent is in the queue by then, or never will be. It is publish, and twice an
	// election of a new leader (4-9 s).
	abandoned time.Duration
	// other is how long another process's claim is waited for.
	other time.Duration
}

var usual = pace{submit: 12 * time.Second, publish: 10 * time.Second, abandoned: 30 * time.Second, other: 2 * time.Second}

// lookAgain is the pause between two looks for a job; it doubles to lookSeldom.
const lookAgain, lookSeldom = 20 * time.Millisecond, time.Second

// Service submits jobs. It keeps nothing from one call to the next.
type Service struct {
	rules  Rules
	claims Claims
	queue  Queue
	ledger Ledger
	depths Depths
	now    func() time.Time
	pace   pace
}

// Parts are what a Service works with.
type Parts struct {
	Rules  Rules
	Claims Claims
	Queue  Queue
	Ledger Ledger
	// Depths may be nil: then lanes have no bound.
	Depths Depths
	// Now is the clock by which jobs expire.
	Now func() time.Time
}

// New makes a Service.
func New(p Parts) *Service {
	return &Service{rules: p.Rules, claims: p.Claims, queue: p.Queue, ledger: p.Ledger, depths: p.Depths, now: p.Now, pace: usual}
}

// Submission is one job of a caller.
type Submission struct {
	Grant Grant
	// Lane is where the job is to go; without a destination it is the job's own.
	Lane schemas.Lane
	// ID is what the caller calls the job, if it says so beside the job.
	ID   string
	Data []byte
}

// Receipt says that a job is in the queue, or was.
type Receipt struct {
	Job   schemas.JobKey
	Class schemas.Class
	// Known: the same job was submitted before, and nothing was stored for this one.
	Known bool
}

// The words for what became of a job that was taken.
const (
	ResultStored = "stored"
	ResultKnown  = "known"
)

// Result is one of these words.
func (r Receipt) Result() string {
	if r.Known {
		return ResultKnown
	}
	return ResultStored
}

// Submit checks a job and stores it. When it returns without an error, the queue or the
// ledger has the job. The error is a *Refusal: after one of kind Unavailable the same
// bytes may be sent again, and are delivered once. The Receipt beside an error names the
// job as far as it could be read.
func (s *Service) Submit(ctx context.Context, one Submission) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pace.submit)
	defer cancel()
	job, err := s.rules.Check(ctx, one.Grant, one.Lane, one.Data, s.now())
	r := Receipt{Job: job.Key(), Class: one.Lane.Class}
	if err != nil {
		return r, err
	}
	if one.ID != "" && one.ID != job.ID {
		return r, invalidJob([]Problem{{"/id", "id_mismatch", "is not the id that the job was sent under"}}, 0)
	}
	sum := sha256.Sum256(one.Data)
	a := attempt{Service: s, lane: schemas.Lane{Class: one.Lane.Class, Destination: job.Destination.Address()}, job: r.Job, data: one.Data, digest: hex.EncodeToString(sum[:])}
	r.Known, err = a.run(ctx)
	return r, err
}

// attempt is one Submit under way.
type attempt struct {
	*Service
	lane   schemas.Lane
	job    schemas.JobKey
	data   []byte
	digest string
}

func (a attempt) run(ctx context.Context) (known bool, err error) {
	known, err = a.recorded(ctx)
	if known || err != nil {
		return known, err
	}
	if a.depths != nil {
		if err := a.depths.Room(ctx, a.lane); err != nil {
			// A repeat of what is there takes no room.
			if claim, found, _ := a.claims.Find(ctx, a.job); !found || claim.Digest != a.digest {
				return false, err
			}
		}
	}
	claim, made, err := a.claims.Make(ctx, a.job, a.claim())
	switch {
	case err != nil:
		return false, queueAway(err)
	case made:
		return false, a.publish(ctx, claim)
	case claim.Digest != a.digest:
		return false, conflict()
	}
	return a.follow(ctx, claim)
}

// claim is a fresh one of this job.
func (a attempt) claim() Claim {
	return Claim{Digest: a.digest, Class: a.lane.Class, Token: rand.Text()}
}

// recorded asks the ledger.
func (a attempt) recorded(ctx context.Context) (known bool, err error) {
	record, found, err := a.ledger.Find(ctx, a.job)
	switch {
	case err != nil:
		return false, unavailable("ledger_unavailable", "the job's record could not be read; nothing was stored", err)
	case !found:
		return false, nil
	case record.Digest != a.digest:
		return false, conflict()
	}
	return true, nil
}

// publish sends the job of a claim that is this attempt's own, once. Where the queue
// certainly has not taken it, it is sent again as long as the claim allows.
func (a attempt) publish(ctx context.Context, claim Claim) error {
	began := time.Now()
	for pause := lookAgain; ; pause = min(2*pause, lookSeldom) {
		err := a.queue.Publish(ctx, a.lane, claim, a.data)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrNotStored) {
			return a.search(ctx, claim, err)
		}
		permanent := fault.Of(err).Kind == fault.Permanent
		if permanent || time.Since(began)+pause > a.pace.publish || !sleep(ctx, pause) || time.Since(began) > a.pace.publish {
			a.claims.Drop(context.WithoutCancel(ctx), a.job, claim)
			return queueAway(err)
		}
	}
}

// search looks for a job whose publish got no answer.
func (a attempt) search(ctx context.Context, claim Claim, cause error) error {
	for pause := lookAgain; ; pause = min(2*pause, lookSeldom) {
		if there, err := a.there(ctx, claim); there || kindOf(err) == Conflict {
			return err
		}
		if !sleep(ctx, pause) {
			return unanswered(cause)
		}
	}
}

// follow finds out what became of a claim of the same content.
func (a attempt) follow(ctx context.Context, claim Claim) (known bool, err error) {
	began := time.Now()
	for pause := lookAgain; ; pause = min(2*pause, lookSeldom) {
		there, err := a.there(ctx, claim)
		if there || err != nil {
			return there, err
		}
		age := claim.Age + time.Since(began)
		if age > a.pace.abandoned {
			return a.takeOver(ctx, claim)
		}
		if time.Since(began) > a.pace.other || !sleep(ctx, pause) {
			busy := unanswered(nil)
			busy.Code, busy.Detail = "being_submitted", "the same job is being submitted at this moment; send it again later, which does not deliver it twice"
			busy.RetryAfter = max(retryWait, a.pace.abandoned-age)
			return false, busy
		}
	}
}

// there looks for a claim's job: in the lane, and then in the ledger. The order matters,
// since a worker writes the record before it removes the copy.
func (a attempt) there(ctx context.Context, claim Claim) (bool, error) {
	lane := schemas.Lane{Class: claim.Class, Destination: a.lane.Destination}
	held, err := a.queue.Holds(ctx, lane, claim)
	if err != nil {
		return false, queueAway(err)
	}
	if held {
		return true, nil
	}
	return a.recorded(ctx)
}

// takeOver publishes the job of a claim whose publisher has ended.
func (a attempt) takeOver(ctx context.Context, old Claim) (known bool, err error) {
	claim, replaced, err := a.claims.Replace(ctx, a.job, old, a.claim())
	switch {
	case err != nil:
		return false, queueAway(err)
	case replaced:
		return false, a.publish(ctx, claim)
	case claim.Digest != a.digest:
		return false, conflict()
	}
	return a.follow(ctx, claim)
}

func queueAway(err error) error {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	f := fault.Of(err)
	if f.Code == "internal" {
		return unavailable("queue_unavailable", "the queue does not answer; nothing is lost, send the same again", err)
	}
	return unavailable(f.Code, "the queue did not take the job; send the same again", err)
}

func kindOf(err error) Kind {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Kind
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

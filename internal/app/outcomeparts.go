package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// follower puts a follower's parts together.
func (s FollowSettings) follower(ctx context.Context, queue *natsq.Conn, name string, meters *telemetry.Outcomes, log *slog.Logger, open *stack) (*following, error) {
	bucket, err := queue.Outcomes(ctx)
	if err != nil {
		return nil, err
	}
	records, err := queue.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	requests, err := s.Budget.open(ctx, queue, name, log)
	if err != nil {
		return nil, err
	}
	open.push("budget", requests.close)
	pace := outcome.NewPace(&outcomeBudget{requests: requests, settings: s.Budget, queue: queue, run: name}, s.Outcome.Share, time.Now)
	if s.Outcome.Environment == "" {
		if s.Outcome.Environment, err = EnvironmentID(ctx, s.Redox, s.Outcome, pace, log); err != nil {
			return nil, err
		}
	}
	urgent, err := PlatformClient(s.Redox, s.Outcome, pace, log)
	if err != nil {
		return nil, err
	}
	open.push("redox", func() error { urgent.Close(); return nil })
	full, err := PlatformClient(s.Redox, s.Outcome, outcome.Behind{Pace: pace, Every: time.Second, Patience: time.Minute}, log)
	if err != nil {
		return nil, err
	}
	open.push("redox", func() error { full.Close(); return nil })
	tenure := bucket.Tenure(name, cmp.Or(s.Term, followTerm))
	return &following{tenure: tenure, settings: outcome.Settings{
		Prefix: s.NATS.Prefix, SourceID: s.Redox.SourceID, Ours: s.SourceIsOurs, Destinations: s.Outcome.Destinations,
		Resend: s.OnUnknown == OnUnknownEvidence, Times: s.Times,
	}, parts: outcome.Parts{
		Logs: urgent, Full: full, Store: outcomeStore{bucket}, Stream: outcomeStream{queue}, Mine: tenure.Mine, Made: pace.Made,
		Desk: outcomeDesk{queue, deadletter.Service{
			Letters: queue, Publisher: queue.Outbox(), Ledger: ledger.New(records, ledger.Patience), Prefix: s.NATS.Prefix, By: name, Now: time.Now,
		}},
		Meter: &outcomeMeter{meters: meters}, Now: time.Now, Log: log,
	}}, nil
}

// EnvironmentID looks up the one environment that has the flag of the settings.
func EnvironmentID(ctx context.Context, r Redox, o Outcome, throttle redoxclient.Throttle, log *slog.Logger) (string, error) {
	client, err := PlatformClient(r, o, throttle, log)
	if err != nil {
		return "", err
	}
	defer client.Close()
	all, err := client.Environments(ctx)
	if err != nil {
		return "", fmt.Errorf("looking up the environment: %w; --outcome-environment-id names it", err)
	}
	var found []string
	for _, e := range all {
		if e.Flag == r.Environment {
			found = append(found, e.ID)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the user of the API key sees %d environments of the kind %s: name one by --outcome-environment-id", len(found), r.Environment)
	}
	return found[0], nil
}

// outcomeBudget is the shared count as the follower uses it: with the rank of a
// backfill.
type outcomeBudget struct {
	*requests

	settings Budget
	queue    *natsq.Conn
	run      string
}

// assumedRate is what Redox is taken to allow where the budget is off: 7,500 requests in
// five minutes.
const assumedRate = 25

// Take implements redoxclient.Throttle.
func (b *outcomeBudget) Take(ctx context.Context) error {
	return b.Budget.Take(ctx, budget.Backfill, 1)
}

// Rate implements outcome.Budget.
func (b *outcomeBudget) Rate() float64 {
	limit := cmp.Or(b.State().Effective, b.settings.Requests)
	if limit == 0 {
		return assumedRate
	}
	return float64(limit) / b.settings.Window.Seconds()
}

// Pressed implements outcome.Budget. Where it cannot be known, others need nothing.
func (b *outcomeBudget) Pressed(ctx context.Context) bool {
	if b.settings.Requests == 0 {
		return false
	}
	store, err := b.settings.record(ctx, b.queue)
	if err != nil {
		return false
	}
	state, _, err := budget.Look(ctx, budget.Settings{
		Requests: b.settings.Requests, Most: b.settings.Most, Window: b.settings.Window, Reserve: b.settings.Reserve, Worker: b.run,
	}, store, time.Now())
	return err == nil && state.Wanted > 0
}

// outcomeStore is the follower's bucket.
type outcomeStore struct{ bucket *natsq.OutcomeBucket }

func (s outcomeStore) All(ctx context.Context, each func(string, []byte, uint64)) error {
	return s.bucket.All(ctx, "", each)
}

func (s outcomeStore) Write(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, done, err := s.bucket.Write(ctx, key, value, revision)
	if err == nil && !done {
		err = outcome.ErrChanged
	}
	return next, err
}

func (s outcomeStore) Remove(ctx context.Context, revision uint64) error {
	return s.bucket.Remove(ctx, revision)
}

// outcomeStream is the stream of events.
type outcomeStream struct{ queue *natsq.Conn }

// followed are the events that a follower needs.
var followed = append(schemas.Outcomes(), schemas.StatusAccepted, schemas.StatusRetrying, schemas.StatusFailed, schemas.StatusUnknown)

func (s outcomeStream) Read(ctx context.Context, from uint64, since time.Time, each func(outcome.Event) bool) error {
	of := natsq.EventRange{FromSequence: from, Since: since}
	of.Statuses = followed
	_, err := s.queue.Events(ctx, of, func(e natsq.StoredEvent, _ []byte) bool {
		return each(outcome.Event{Sequence: e.Sequence, Data: e.Event.Data, At: e.Event.Time})
	})
	if errors.Is(err, natsq.ErrBeyond) {
		return outcome.ErrStreamNew
	}
	return err
}

func (s outcomeStream) Get(ctx context.Context, sequence uint64) (schemas.EventData, bool, error) {
	e, ok, err := s.queue.EventAt(ctx, sequence)
	return e.Event.Data, ok, err
}

func (s outcomeStream) Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error {
	return s.queue.Outbox().Tell(ctx, lane, event)
}

// outcomeDesk settles held jobs as an operator does.
type outcomeDesk struct {
	queue *natsq.Conn
	desk  deadletter.Service
}

func (d outcomeDesk) Quiet(ctx context.Context, destinations []string, since time.Time) (bool, error) {
	for _, destination := range destinations {
		for _, class := range []schemas.Class{schemas.Live, schemas.Backfill} {
			stored, ok, err := d.queue.Oldest(ctx, schemas.Lane{Class: class, Destination: destination})
			if err != nil || ok && !stored.After(since) {
				return false, err
			}
		}
	}
	return true, nil
}

func (d outcomeDesk) Accept(ctx context.Context, job schemas.JobKey, reason schemas.Reason, evidence *schemas.Evidence) error {
	_, err := d.desk.AcceptFor(ctx, job, reason, evidence)
	return unlessSettled(err)
}

func (d outcomeDesk) Resend(ctx context.Context, job schemas.JobKey) error {
	_, err := d.desk.Resend(ctx, job)
	return unlessSettled(err)
}

// unlessSettled drops the error of a job that somebody else has settled.
func unlessSettled(err error) error {
	if _, ok := errors.AsType[*deadletter.Refusal](err); ok {
		return nil
	}
	return err
}

// outcomeMeter makes metrics of what the follower says.
type outcomeMeter struct{ meters *telemetry.Outcomes }

func (m *outcomeMeter) Told(status schemas.Status) { m.meters.Told(status) }

func (m *outcomeMeter) Searched(op string, err error) {
	result := ""
	if e, ok := errors.AsType[*platform.Error](err); ok {
		result = string(e.Kind)
	} else if err != nil {
		result = "other"
	}
	m.meters.Searched(op, result)
}

func (m *outcomeMeter) Standing(s outcome.Standing) {
	w := telemetry.Waiting{Jobs: s.Waiting, Failed: s.Failed, Windows: s.Windows}
	if !s.Oldest.IsZero() {
		w.Oldest = s.At.Sub(s.Oldest)
	}
	if !s.SweptTo.IsZero() {
		w.Lag = max(s.At.Sub(s.SweptTo), 0)
	}
	m.meters.Stands(&w)
}

func (m *outcomeMeter) idle() { m.meters.Stands(nil) }

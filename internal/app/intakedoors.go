package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/intake/web"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/timeline"
	"github.com/chartpost/chartpost/schemas"
)

// ledgerView is the ledger as an intake sees it.
type ledgerView struct{ ledger *ledger.Ledger }

// Find implements intake.Ledger.
func (l ledgerView) Find(ctx context.Context, job schemas.JobKey) (intake.Known, bool, error) {
	record, found, err := l.ledger.Find(ctx, job)
	return intake.Known{Digest: record.Digest, Phase: string(record.Phase), Final: record.Phase.Final()}, found, err
}

// jobsView tells of jobs.
type jobsView struct {
	queue  *natsq.Conn
	ledger *ledger.Ledger
}

// Status implements intake.Jobs. A job that no worker has taken is known by its claim.
func (v jobsView) Status(ctx context.Context, job schemas.JobKey) (any, bool, error) {
	for range 2 { // a worker may take it between the two looks
		known, err := timeline.Gather(ctx, v.queue, v.ledger, job, timeline.Options{Brief: true})
		if err == nil {
			return known.Summary(), true, nil
		}
		if !errors.Is(err, timeline.ErrUnknown) {
			return nil, false, err
		}
		claim, claimed, err := v.queue.Claims().Find(ctx, job)
		if err != nil || !claimed {
			return nil, false, err
		}
		lane := schemas.Lane{Class: claim.Class, Destination: job.Destination}
		held, err := v.queue.Submissions().Holds(ctx, lane, claim)
		if err != nil || held {
			return timeline.Queued(lane, job.ID), held, err
		}
	}
	return nil, false, nil
}

// Destinations implements intake.Jobs.
func (v jobsView) Destinations(ctx context.Context, id string) ([]string, error) {
	keys, err := v.queue.KeysOf(ctx, id)
	if err == nil {
		keys, err = v.queue.Claims().Named(ctx, id, keys)
	}
	var all []string
	for _, key := range keys {
		all = append(all, key.Destination)
	}
	return all, err
}

// eventsOf follows the events.
type eventsOf struct{ queue *natsq.Conn }

// Follow implements web.Events.
func (e eventsOf) Follow(ctx context.Context, of web.Feed, started func(uint64) error, each func(uint64, schemas.Event, []byte) bool) error {
	feed := natsq.EventFeed{Classes: of.Classes, Destinations: of.Destinations, Statuses: of.Statuses, After: of.After}
	return e.queue.FollowEvents(ctx, feed, started, func(s natsq.StoredEvent, data []byte) bool { return each(s.Sequence, s.Event, data) })
}

// natsDoor answers what comes over NATS. Whoever may publish to a subject may submit there:
// the caller is the destination, whose quotas it has.
type natsDoor struct {
	web.Parts
	files []string
	audit *web.Audit
}

func (d natsDoor) grant(destination string) intake.Grant {
	g := intake.Grant{Caller: callerOf(destination), Destinations: []string{destination}, Classes: []schemas.Class{schemas.Live, schemas.Backfill}}
	for _, place := range d.files {
		g.Files = append(g.Files, strings.ReplaceAll(place, "{destination}", destination))
	}
	return g
}

// Submit implements natsq.SubmitHandler.
func (d natsDoor) Submit(ctx context.Context, lane schemas.Lane, data []byte) natsq.Answer {
	began := time.Now()
	grant := d.grant(lane.Destination)
	receipt, err := d.submit(ctx, grant, lane, data)
	answer := natsAnswer(receipt, err)
	result := receipt.Result()
	if err != nil {
		result = answer.Code
	}
	d.Meter.Job(lane.Class, result)
	d.Meter.Request("nats submit", answer.Status, time.Since(began))
	if err != nil {
		d.audit.Refused("nats submit", grant.Caller, answer.Status, answer.Code)
	}
	return answer
}

func (d natsDoor) submit(ctx context.Context, grant intake.Grant, lane schemas.Lane, data []byte) (intake.Receipt, error) {
	done, err := d.Quotas.Request(grant.Caller)
	if err != nil {
		return intake.Receipt{}, err
	}
	defer done()
	if err := d.Quotas.Hold(grant.Caller, int64(len(data))); err != nil {
		return intake.Receipt{}, err
	}
	defer d.Quotas.Release(grant.Caller, int64(len(data)))
	return d.Service.Submit(ctx, intake.Submission{Grant: grant, Lane: lane, Data: data})
}

// Admit implements natsq.SubmitHandler.
func (d natsDoor) Admit(destination string) bool {
	if d.Quotas.Job(callerOf(destination)) == nil {
		return true
	}
	d.Meter.Request("nats", http.StatusTooManyRequests, 0)
	d.audit.Refused("nats", callerOf(destination), http.StatusTooManyRequests, "rate")
	return false
}

func callerOf(destination string) string { return "nats:" + schemas.Token(destination) }

// Status implements natsq.SubmitHandler.
func (d natsDoor) Status(ctx context.Context, job schemas.JobKey) natsq.Answer {
	began := time.Now()
	grant := d.grant(job.Destination)
	answer := natsq.Answer{Status: 200}
	done, err := d.Quotas.Request(grant.Caller)
	if err == nil {
		defer done()
		answer.Body, err = d.Viewer.Status(ctx, grant, job)
	}
	if err != nil {
		answer = natsRefusal(err)
		d.audit.Refused("nats status", grant.Caller, answer.Status, answer.Code)
	}
	d.Meter.Request("nats status", answer.Status, time.Since(began))
	return answer
}

func natsAnswer(r intake.Receipt, err error) natsq.Answer {
	if err != nil {
		return natsRefusal(err)
	}
	status := 202
	if r.Known {
		status = 200
	}
	return natsq.Answer{Status: status, Body: map[string]any{
		"status": status, "id": r.Job.ID, "destination": r.Job.Destination, "class": r.Class, "result": r.Result(),
	}}
}

// natsProblem is a refusal as an answer over NATS has it.
type natsProblem struct {
	Status     int              `json:"status"`
	Code       string           `json:"code"`
	Detail     string           `json:"detail"`
	Errors     []intake.Problem `json:"errors,omitempty"`
	More       int              `json:"more,omitempty"`
	RetryAfter int              `json:"retry_after,omitempty"`
}

func natsRefusal(err error) natsq.Answer {
	r, ok := errors.AsType[*intake.Refusal](err)
	if !ok {
		r = &intake.Refusal{Kind: intake.Unavailable, Code: "internal", Detail: "an unexpected error inside the intake", RetryAfter: time.Second}
	}
	return natsq.Answer{Status: r.Status(), Code: r.Code, Body: natsProblem{
		Status: r.Status(), Code: r.Code, Detail: r.Detail, Errors: r.Problems, More: r.More, RetryAfter: int(math.Ceil(r.RetryAfter.Seconds())),
	}}
}

// tls is how the HTTP door is secured; nil is not. needed: callers have nothing else to
// show than a certificate.
func (d IntakeDoors) tls(needed bool) (*tls.Config, error) {
	if d.TLSCert == "" {
		return nil, nil
	}
	pair := &keyPair{cert: d.TLSCert, key: d.TLSKey}
	if _, err := pair.get(nil); err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	if d.ClientCA == "" {
		return config, nil
	}
	pem, err := readSmall(d.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("--intake-client-ca: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--intake-client-ca: %s holds no PEM certificate", d.ClientCA)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if needed {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// keyPair reads a certificate again when its file changes, looking at most once a second.
type keyPair struct {
	cert, key string

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed time.Time
	looked  time.Time
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded != nil && time.Since(p.looked) < time.Second {
		return p.loaded, nil
	}
	p.looked = time.Now()
	about, err := os.Stat(p.cert)
	if err == nil && p.loaded != nil && about.ModTime().Equal(p.changed) {
		return p.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil && p.loaded != nil {
		return p.loaded, nil // half of a renewal: the next look has both
	}
	if err != nil {
		return nil, fmt.Errorf("--intake-tls-cert: %w", reason(err))
	}
	p.loaded, p.changed = &pair, about.ModTime()
	return p.loaded, nil
}

// readSmall reads a file of settings, up to 1 MiB of it.
func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 1<<20))
}

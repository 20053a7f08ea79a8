package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxport"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Settings are everything a worker needs.
type Settings struct {
	NATS     NATS
	S3       S3
	Redox    Redox
	Files    Files
	Message  Message
	Delivery Delivery
	Budget   Budget
	HTTP     HTTP
	// Telemetry is told at HTTP's address, and to a collector.
	Telemetry Telemetry
}

// Check reports every fault of the settings.
func (s Settings) Check() error {
	return errors.Join(s.NATS.Check(), s.S3.Check(), s.Redox.Check(), s.Files.Check(), s.Message.Check(), s.Delivery.Check(), s.Budget.Check(), s.HTTP.Check(), s.Telemetry.Check())
}

// Queue connects to NATS.
func Queue(n NATS, name string, log *slog.Logger) (*natsq.Conn, error) {
	return natsq.Connect(n.config("chartpost "+name), log)
}

// Source opens the object store.
func Source(ctx context.Context, s S3, d Delivery) (*s3source.Source, error) {
	source, err := s3source.New(ctx, s3source.Config{
		Endpoint: s.Endpoint, Region: s.Region, PathStyle: s.PathStyle, Buckets: s.Buckets,
		// Half: a read that hangs is resumed while the upload it feeds still waits.
		Concurrency: d.Concurrency, Stall: d.Stall / 2,
	})
	if err != nil {
		return nil, fmt.Errorf("the object store: %w", err)
	}
	return source, nil
}

// Client makes the client of Redox. A key file that changes to something that
// cannot be used is told to the log, and the old key stays. throttle may be nil.
func Client(r Redox, d Delivery, throttle redoxclient.Throttle, log *slog.Logger) (*redoxclient.Client, error) {
	client, _, err := r.client(d, watched{throttle: throttle}, log)
	return client, err
}

// watched is who paces and who watches the requests; both may be nil.
type watched struct {
	throttle redoxclient.Throttle
	by       *telemetry.Telemetry
}

func (r Redox) client(d Delivery, watched watched, log *slog.Logger) (*redoxclient.Client, *redoxclient.TokenSource, error) {
	trust, err := r.trust()
	if err != nil {
		return nil, nil, err
	}
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: r.ClientID, KeyFile: r.KeyFile, KeyID: r.KeyID, TokenURL: r.TokenURL, Audience: r.TokenAudience, TLS: trust,
		Throttle: watched.throttle, Observe: observe(watched.by),
		OnKeyError: func(err error) { log.Error("the new Redox key cannot be used; the old one stays", "error", err) },
	})
	if err != nil {
		return nil, nil, fmt.Errorf("the Redox credentials: %w", err)
	}
	client, err := redoxclient.New(redoxclient.Config{
		APIURL: r.APIURL, BlobURL: r.BlobURL, Environment: r.Environment, BlobHosts: r.BlobHosts, Tokens: tokens,
		Concurrency: d.Concurrency, Timeouts: redoxclient.Timeouts{Stall: d.Stall, Answer: d.AnswerTimeout}, TLS: trust, UserAgent: "chartpost/" + Version(),
		Throttle: watched.throttle, Observe: observe(watched.by),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("the Redox client: %w", err)
	}
	return client, tokens, nil
}

func (r Redox) trust() (*tls.Config, error) {
	if r.TLSCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(r.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("--redox-tls-ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(bytes.TrimPrefix(pem, []byte("\xef\xbb\xbf"))) {
		return nil, fmt.Errorf("--redox-tls-ca: %s holds no PEM certificate", r.TLSCA)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Pipeline puts a pipeline together. redox may be nil where nothing is sent.
func Pipeline(source pipeline.Source, redox pipeline.Redox, r Redox, f Files, m Message, d Delivery) *pipeline.Pipeline {
	return pipeline.New(source, redox, pipeline.Settings{
		Environment: schemas.Environment(r.Environment), SourceID: r.SourceID,
		EmbedLimit: d.EmbedLimit, FileLimit: d.FileLimit, Guard: f.policy(), Composer: m.composer(), Retry: inSlot,
	}, time.Now)
}

// inSlot is how a step is repeated while its job keeps the slot: long enough
// for a hiccup, too short to matter to the jobs behind it.
var inSlot = pipeline.RetryPolicy{Tries: 3, First: time.Second, Longest: 5 * time.Second}

// turnWithin is how long the worker's loop may stand still before the process
// is called dead. It turns twice a second.
const turnWithin = time.Minute

// wayOf says whether the worker takes jobs, as far as that hangs on what all of
// them need.
func wayOf(shut *worker.Shut) health.Check {
	if gate := gateOf(shut); gate != nil {
		return health.Check{Text: gate.Text()}
	}
	return health.Check{OK: true}
}

// gateOf is nil while jobs are taken.
func gateOf(shut *worker.Shut) *diagnosis.Gate {
	if shut == nil {
		return nil
	}
	return &diagnosis.Gate{Until: shut.Until.UTC(), Code: shut.Reason.Code}
}

// RunWorker delivers jobs until ctx ends and nothing is in hand any more. It
// fails only at the start. ready is called once the worker takes jobs.
func RunWorker(ctx context.Context, s Settings, log *slog.Logger, ready func()) error {
	name := s.Delivery.WorkerName()
	log = log.With("worker", name)
	err := runWorker(ctx, name, s, log, ready)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		// It was told to stop while it waited for NATS, and had nothing in hand.
		log.Info("worker stopped before it was ready", "error", err)
		return nil
	}
	return err
}

func runWorker(ctx context.Context, name string, s Settings, log *slog.Logger, ready func()) error {
	var open stack
	defer open.close(log)

	about := health.New()
	watching := s.Telemetry.open(name, about, &open, log)
	if err := s.HTTP.serve(ctx, about, &open, log); err != nil {
		return err
	}
	queue, err := Queue(s.NATS, name, log)
	if err != nil {
		return err
	}
	open.push("nats", queue.Close)
	aboutQueue(about, queue, &open)
	watching.Watch(aboutTheQueue(about, queue))
	if err := queue.Verify(ctx); err != nil {
		return err
	}
	if err := queue.Join(ctx, natsq.Fleet{Lease: s.Delivery.Lease, Environment: s.Redox.Environment}); err != nil {
		return err
	}
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		return err
	}
	source, err := Source(ctx, s.S3, s.Delivery)
	if err != nil {
		return err
	}
	requests, err := s.Budget.open(ctx, queue, name+"-"+rand.Text(), log)
	if err != nil {
		return err
	}
	open.push("budget", requests.close)
	client, tokens, err := s.Redox.client(s.Delivery, watched{requests, watching}, log)
	if err != nil {
		return err
	}
	open.push("redox", func() error { client.Close(); return nil })
	intake, err := queue.Intake(
		natsq.LaneSettings{Concurrency: s.Delivery.LaneConcurrency, Lease: s.Delivery.Lease},
		worker.Answers(s.Delivery.Concurrency))
	if err != nil {
		return err
	}
	control, err := queue.Control(ctx)
	if err != nil {
		return err
	}
	delivery := s.Delivery.settings(name, s.NATS.Prefix)
	delivery.Telemetry = watching
	w := worker.New(delivery, worker.Queue{Intake: intake, Outbox: queue.Outbox(), Control: control, Budget: requests, Clock: queue},
		ledger.New(bucket, ledger.Patience), Pipeline(watching.Source(source), redoxport.New(client, requests), s.Redox, s.Files, s.Message, s.Delivery), log)

	log.Info("worker ready", "version", Version(), "environment", s.Redox.Environment, "nats", queue.Server(), "concurrency", s.Delivery.Concurrency)
	about.Live("dispatch", health.Turning(w.Turned, turnWithin))
	about.Add("redox", func() health.Check { return wayOf(w.Shut()) })
	look := lookAtAll(w.Look, intake.Standing)
	about.Add("lanes", func() health.Check { return lanesCheck(intake.Standing(), look, w.Shut) })
	watching.Watch(telemetry.Parts{Worker: look, Unserved: unservedLanes(intake.Standing), Shut: w.Shut, Oldest: queue.Oldest, Token: tokens.Times, Budget: requests.standing})
	open.push("ledger's archive", archiving(queue, intake, log))
	open.push("job index", indexing(queue, intake, log))
	open.push("announcement", announcing(announcer{queue: queue, worker: w, requests: requests, log: log, base: diagnosis.Worker{Name: name}}))
	about.Enter(health.Working)
	defer context.AfterFunc(ctx, func() { about.Enter(health.Stopping) })()
	ready()
	w.Run(ctx)
	log.Info("worker stopped")
	return nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/intake/access"
	"github.com/chartpost/chartpost/internal/intake/web"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// Bounds on the memory of an intake.
const (
	// intakeHeap is how much memory the Go runtime tries not to exceed.
	intakeHeap = 48 << 20
	// jobsHeld bounds the jobs in memory, in bytes, and callerHeld those of one caller.
	jobsHeld, callerHeld = 16 << 20, 4 << 20
	// natsAtOnce is how many requests over NATS are in hand.
	natsAtOnce = 128
)

// BoundIntakeHeap sets the memory limit of this process, unless the environment has a
// GOMEMLIMIT.
func BoundIntakeHeap() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(intakeHeap)
	}
}

// RunIntake takes jobs until ctx ends and nothing is in hand any more. ready is called with
// the address of the HTTP door, empty where there is none.
func RunIntake(ctx context.Context, s IntakeSettings, log *slog.Logger, ready func(addr string)) error {
	err := runIntake(ctx, s, log, ready)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		log.Info("intake stopped before it was ready", "error", err)
		return nil
	}
	return err
}

func runIntake(ctx context.Context, s IntakeSettings, log *slog.Logger, ready func(addr string)) error {
	var open stack
	defer open.close(log)
	about := health.New()
	meter := telemetry.NewIntake(Version(), func() []telemetry.Check { return checksOf(about) })
	about.Handle("GET /metrics", meter.Handler(log))
	if err := s.HTTP.serve(ctx, about, &open, log); err != nil {
		return err
	}
	queue, err := Queue(s.NATS, "intake", log)
	if err != nil {
		return err
	}
	open.push("nats", queue.Close)
	aboutQueue(about, queue, &open)
	if err := errors.Join(queue.Verify(ctx), queue.VerifyClaims(ctx)); err != nil {
		return err
	}
	parts, err := s.parts(ctx, queue, log)
	if err != nil {
		return err
	}
	parts.Meter, parts.Log = meter, log
	if s.Doors.NATS == "on" {
		if err := s.serveNATS(queue, parts, &open); err != nil {
			return err
		}
	}
	addr, err := s.serveHTTP(ctx, parts, &open, log)
	if err != nil {
		return err
	}
	log.Info("intake ready", "version", Version(), "environment", s.Job.Environment, "nats", queue.Server(), "http", addr)
	about.Enter(health.Working)
	ready(addr)
	<-ctx.Done()
	about.Enter(health.Stopping)
	log.Info("intake stopping")
	return nil
}

func checksOf(about *health.Health) []telemetry.Check {
	var all []telemetry.Check
	for _, c := range about.Checks() {
		all = append(all, telemetry.Check(c))
	}
	return all
}

// parts puts the intake together, doors apart.
func (s IntakeSettings) parts(ctx context.Context, queue *natsq.Conn, log *slog.Logger) (web.Parts, error) {
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		return web.Parts{}, err
	}
	records := ledgerView{ledger.New(bucket, intakePatience)}
	var source *s3source.Source
	if s.Job.CheckFiles || s.Doors.Uploads != "" {
		if source, err = Source(ctx, s.S3, s.delivery()); err != nil {
			return web.Parts{}, err
		}
	}
	gate, err := s.gate()
	if err != nil {
		return web.Parts{}, err
	}
	submissions := queue.Submissions()
	p := web.Parts{
		Service: intake.New(intake.Parts{Rules: s.rules(source), Claims: queue.Claims(), Queue: submissions, Ledger: records, Depths: s.depths(submissions), Now: time.Now}),
		Viewer:  intake.NewViewer(jobsView{queue, records.ledger}, records),
		Events:  eventsOf{queue}, Gate: gate, Log: log,
		Quotas: access.NewQuotas(access.Limits{
			Jobs: float64(s.Limits.Rate), Bytes: s.Limits.Bytes, Requests: s.Limits.Requests, Streams: s.Limits.Streams, Held: callerHeld,
		}, jobsHeld, time.Now),
	}
	if s.Doors.Uploads != "" {
		p.Uploads = intake.NewUploads(source, s.Files.policy(), s.Job.FileLimit, time.Now)
	}
	return p, nil
}

// intakePatience is how long one look into the ledger is tried: a caller waits for it.
const intakePatience = 5 * time.Second

func (s IntakeSettings) depths(queue intake.Queue) intake.Depths {
	if s.Limits.Lane == 0 {
		return nil
	}
	return intake.NewLaneDepths(queue, uint64(s.Limits.Lane), time.Now)
}

func (s IntakeSettings) delivery() Delivery {
	return Delivery{Concurrency: s.Limits.All, Stall: s.stall(), EmbedLimit: s.Job.EmbedLimit, FileLimit: s.Job.FileLimit}
}

// stall is how long bytes may stand still.
func (s IntakeSettings) stall() time.Duration {
	if s.FileStall > 0 {
		return s.FileStall
	}
	return 10 * time.Second
}

// rules are made as a worker makes its pipeline, so that both say the same.
func (s IntakeSettings) rules(source *s3source.Source) intake.Rules {
	redox := Redox{Environment: s.Job.Environment, SourceID: s.Job.SourceID}
	var files pipeline.Source
	if source != nil {
		files = source
	}
	return intake.Rules{
		Pipeline: Pipeline(files, nil, redox, s.Files, s.Message, s.delivery()), Composer: s.Message.composer(), Files: s.Job.CheckFiles,
		Admit: func(file schemas.File) error { return s3source.Admit(s.S3.Buckets, file) },
	}
}

func (s IntakeSettings) gate() (*access.Gate, error) {
	callers, err := s.Callers.list()
	if err != nil {
		return nil, fmt.Errorf("--intake-callers: %w", err)
	}
	settings := access.Settings{Callers: callers, Uploads: s.Doors.Uploads, Open: s.open()}
	if s.Callers.Issuer != "" {
		settings.Tokens = access.NewTokens(access.TokenSettings{
			Issuer: s.Callers.Issuer, Audience: s.Callers.Audience,
			Destinations: s.Callers.Destinations, Classes: s.Callers.Classes, Files: s.Callers.Files,
		}, providerClient(), time.Now)
	}
	return access.New(settings), nil
}

// open reports whether callers need no credentials: on loopback, where no kind of them is
// set.
func (s IntakeSettings) open() bool {
	return s.Doors.loopback() && s.Callers.Issuer == "" && s.Doors.ClientCA == ""
}

// providerClient follows no redirects: keys come from where they are said to be.
func providerClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s IntakeSettings) serveNATS(queue *natsq.Conn, parts web.Parts, open *stack) error {
	service, err := queue.ServeSubmit(natsDoor{parts, s.Doors.NATSFiles, web.NewAudit(parts.Log)}, natsAtOnce, Version())
	if err != nil {
		return err
	}
	open.push("nats service", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), s.Doors.Grace)
		defer cancel()
		service.Stop(ctx)
		return nil
	})
	return nil
}

func (s IntakeSettings) serveHTTP(ctx context.Context, parts web.Parts, open *stack, log *slog.Logger) (string, error) {
	if !s.Doors.http() {
		return "", nil
	}
	secure, err := s.Doors.tls(s.Callers.Issuer == "")
	if err != nil {
		return "", err
	}
	api := web.New(parts, web.Settings{Requests: s.Limits.All, Streams: s.Limits.AllStreams, Loopback: s.open(), Stall: s.stall(), JobTime: 30 * time.Second})
	server, err := web.Listen(ctx, web.Listener{Addr: s.Doors.Addr, TLS: secure, Connections: s.Limits.Connections}, api, log)
	if err != nil {
		return "", err
	}
	open.push("intake's http", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), s.Doors.Grace)
		defer cancel()
		return server.Stop(ctx)
	})
	return server.Addr(), nil
}

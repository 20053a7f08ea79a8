package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

// world is the servers of one folder, and the settings that reach them.
type world struct {
	dir      string
	settings app.Settings
	// intake is the URL of the intake, once it stands.
	intake  string
	closers []func() error
}

// ports are where the servers listen on 127.0.0.1. One that is taken is
// replaced by a free one: the addresses are printed and written down anyway.
type ports struct {
	NATS   int `name:"nats-port" default:"4222" help:"Port of NATS on 127.0.0.1; 0 is a free one, and so is one that is taken."`
	S3     int `name:"s3-port" default:"9000" help:"Port of the S3 server, likewise."`
	Redox  int `name:"redox-port" default:"8443" help:"Port of the simulator of Redox, likewise."`
	Intake int `name:"intake-port" default:"8085" help:"Port of the intake, likewise."`
}

// Validate implements kong's check of a command's values.
func (p ports) Validate() error {
	return errors.Join(checkPort("nats-port", p.NATS), checkPort("s3-port", p.S3), checkPort("redox-port", p.Redox), checkPort("intake-port", p.Intake))
}

func checkPort(flag string, port int) error {
	if port < 0 || port > 65535 {
		return fmt.Errorf("--%s: must be from 0 to 65535", flag)
	}
	return nil
}

// bucket is where the samples live.
const bucket = "samples"

// open starts the servers over dir, which survives restarts.
func open(ctx context.Context, dir string, p ports) (*world, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"nats", "s3", "redox"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	release, err := hold(dir)
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, closers: []func() error{release}}
	for _, start := range []func(context.Context, ports) error{w.startNATS, w.startS3, w.startRedox} {
		if err := start(ctx, p); err != nil {
			w.close()
			return nil, err
		}
	}
	// The simulator's own limit is far above what anybody tries by hand.
	w.settings.Budget = app.Budget{Window: 5 * time.Minute, Scope: "dev"}
	w.settings.Delivery = app.Delivery{
		Concurrency: 16, LaneConcurrency: 8, EmbedLimit: 200_000, FileLimit: 30_000_000, OnUnknown: "resend",
		RetryFirst: 5 * time.Second, RetryLongest: time.Minute, Lease: 30 * time.Second, Grace: 5 * time.Second, Stall: time.Minute,
		Name: "dev",
	}
	return w, nil
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		if err := w.closers[i](); err != nil {
			fmt.Fprintln(os.Stderr, "chartpost-dev: closing:", err)
		}
	}
	w.closers = nil
}

func (w *world) startNATS(_ context.Context, p ports) error {
	server, err := devstack.StartNATS(devstack.NATSOptions{Dir: filepath.Join(w.dir, "nats"), Port: freePort(p.NATS)})
	if err != nil {
		return fmt.Errorf("starting NATS: %w", err)
	}
	w.closers = append(w.closers, server.Close)
	w.settings.NATS = app.NATS{URL: server.URL(), Prefix: "chartpost"}
	return nil
}

// startS3 also puts the server's credentials where the AWS SDK looks for them.
func (w *world) startS3(ctx context.Context, p ports) error {
	options := s3dev.Options{Dir: filepath.Join(w.dir, "s3"), Port: freePort(p.S3)}
	server, err := s3dev.StartProcess(ctx, options)
	if err != nil {
		return fmt.Errorf("starting the S3 server: %w", err)
	}
	w.closers = append(w.closers, server.Close)
	if err := s3dev.Bucket(ctx, s3dev.Client(server.URL(), options), bucket, false); err != nil {
		return fmt.Errorf("creating the bucket %s: %w", bucket, err)
	}
	w.settings.S3 = app.S3{Endpoint: server.URL(), Region: s3dev.DefaultRegion, PathStyle: true, Buckets: []string{bucket}}
	return errors.Join(os.Setenv("AWS_ACCESS_KEY_ID", s3dev.DefaultAccessKey), os.Setenv("AWS_SECRET_ACCESS_KEY", s3dev.DefaultSecretKey))
}

func (w *world) startRedox(ctx context.Context, p ports) error {
	id, err := identityIn(filepath.Join(w.dir, "redox"))
	if err != nil {
		return err
	}
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{id.client()}, Dir: filepath.Join(w.dir, "redox", "arrived")})
	if err != nil {
		return fmt.Errorf("starting the simulator: %w", err)
	}
	url, stop, err := serve(ctx, sim, freePort(p.Redox))
	if err != nil {
		return fmt.Errorf("starting the simulator: %w", err)
	}
	w.closers = append(w.closers, sim.Close, stop)
	w.settings.Redox = app.Redox{
		Environment: "Development", APIURL: url, TokenURL: url + "/v2/auth/token", BlobURL: url, BlobHosts: []string{blobHost},
		ClientID: id.ClientID, KeyFile: id.keyFile, KeyID: id.KeyID, SourceID: id.SourceID,
	}
	return nil
}

// intakeSettings are those of an intake that asks for no credentials: it is on loopback.
func (w *world) intakeSettings(port int) app.IntakeSettings {
	return app.IntakeSettings{
		NATS: w.settings.NATS, S3: w.settings.S3,
		Job:    app.IntakeJobs{Environment: w.settings.Redox.Environment, SourceID: w.settings.Redox.SourceID, EmbedLimit: w.settings.Delivery.EmbedLimit, FileLimit: w.settings.Delivery.FileLimit},
		Doors:  app.IntakeDoors{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), NATS: "on", NATSFiles: []string{"*"}, Uploads: bucket + "/incoming/", Grace: 5 * time.Second},
		Limits: app.IntakeLimits{Requests: 32, Streams: 4, Lane: 100_000, All: 64, AllStreams: 16, Connections: 500},
	}
}

// blobHost is the host of the URLs the simulator gives to uploaded files. It
// cannot exist (RFC 6761), so that none of them is ever taken for a real one.
const blobHost = "blob.simulator.invalid"

// serve runs handler on 127.0.0.1 and gives its URL and how to stop it.
func serve(ctx context.Context, handler http.Handler, port int) (url string, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stop = func() error {
		err := server.Close()
		<-ended
		return err
	}
	return "http://" + listener.Addr().String(), stop, nil
}

// freePort is the wanted port if nobody has it, else 0: any.
func freePort(wanted int) int {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return 0
	}
	listener.Close()
	return wanted
}

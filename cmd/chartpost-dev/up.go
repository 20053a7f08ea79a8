package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
	"github.com/chartpost/chartpost/schemas"
)

type upCmd struct {
	Dir   string `default:".dev" type:"path" placeholder:"DIR" help:"Folder of all data; it survives a restart."`
	Once  bool   `help:"End once the samples have ended: exit code 0 when all were accepted."`
	Ports ports  `embed:""`
}

// Validate implements kong's check of a command's values.
func (c *upCmd) Validate() error { return c.Ports.Validate() }

// Help adds to the command's --help.
func (upCmd) Help() string {
	return `Examples:

  chartpost-dev
  chartpost-dev --once --dir /tmp/world
  chartpost-dev up --nats-port 0 --s3-port 0 --redox-port 0

The addresses are printed and written into the folder: ". DIR/env" makes chartpost's own commands use them.

The folder keeps streams, objects and what arrived at the simulator. The simulator keeps tokens and the URLs of uploaded files in memory: after a restart it knows no URL that an earlier one gave.`
}

// sampleTime is how long --once waits for the samples.
const sampleTime = time.Minute

func (c *upCmd) Run(ctx context.Context, out io.Writer, libraries *stdlog.Gag) error {
	w, err := open(ctx, c.Dir, c.Ports)
	if err != nil {
		return err
	}
	defer w.close()
	logFile, err := os.OpenFile(filepath.Join(w.dir, "worker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewJSONHandler(logFile, nil))
	libraries.Tell(log)
	queue, err := app.Queue(w.settings.NATS, "dev", log)
	if err != nil {
		return err
	}
	defer queue.Close()
	streams, err := layout()
	if err != nil {
		return err
	}
	if _, err := queue.Setup(ctx, streams); err != nil {
		return fmt.Errorf("setting up the streams: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended, err := w.startIntake(ctx, c.Ports.Intake, log, stop)
	if err != nil {
		return err
	}
	defer ended()
	defer stop(nil)
	if err := w.writeConfig(); err != nil {
		return err
	}
	return c.live(ctx, w, queue, log, out)
}

// startIntake runs an intake until ctx ends, and returns when it stands. It stops the
// world where it fails later.
func (w *world) startIntake(ctx context.Context, port int, log *slog.Logger, stop context.CancelCauseFunc) (wait func(), err error) {
	var running sync.WaitGroup
	ready, failed := make(chan string, 1), make(chan error, 1)
	running.Go(func() {
		if err := app.RunIntake(ctx, w.intakeSettings(freePort(port)), log, func(addr string) { ready <- addr }); err != nil {
			failed <- err
			stop(fmt.Errorf("the intake: %w", err))
		}
	})
	select {
	case addr := <-ready:
		w.intake = "http://" + addr
		return running.Wait, nil
	case err := <-failed:
		return nil, fmt.Errorf("the intake: %w", err)
	case <-ctx.Done():
		running.Wait()
		return nil, context.Cause(ctx)
	}
}

// layout is how a folder keeps its streams: as chartpost setup makes them where
// nothing is set.
func layout() (natsq.Layout, error) {
	var streams app.Streams
	if err := kong.ApplyDefaults(&streams); err != nil {
		return natsq.Layout{}, fmt.Errorf("reading the defaults of the streams: %w", err)
	}
	return streams.Layout(), nil
}

// live runs the worker beside the table of events until the samples are done
// (--once) or a signal comes.
func (c *upCmd) live(ctx context.Context, w *world, queue *natsq.Conn, log *slog.Logger, out io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var worker sync.WaitGroup
	worker.Go(func() {
		if err := app.RunWorker(ctx, w.settings, log, func() {}); err != nil {
			stop(fmt.Errorf("the worker: %w", err))
		}
	})
	defer worker.Wait()
	defer stop(nil)

	w.printAddresses(out)
	watching := ctx
	if c.Once {
		var cancel context.CancelFunc
		watching, cancel = context.WithTimeoutCause(ctx, sampleTime, errors.New("the samples had not all ended after a minute"))
		defer cancel()
	}
	samples := &samplesRun{world: w, queue: queue, run: time.Now(), open: map[string]bool{}}
	table := show.NewEvents(out, show.Color(show.IsTerminal(out), os.Getenv))
	err := queue.Watch(watching, nil, samples.run, func() error { return samples.submit(watching) }, func(e schemas.Event) bool {
		table.Add(e)
		if samples.ended(e) {
			if c.Once {
				return false
			}
			w.printTryIt(out)
		}
		return true
	})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause // the worker's, which ended the watch too
	}
	if err != nil {
		return err
	}
	switch {
	case !c.Once:
		return nil // a signal ended it
	case len(samples.open) == 0:
		return samples.failure()
	case ctx.Err() != nil:
		return errors.New("interrupted before the samples had ended")
	}
	return context.Cause(watching)
}

// writeConfig writes the settings for chartpost's own commands.
func (w *world) writeConfig() error {
	s := w.settings
	var y bytes.Buffer
	fmt.Fprintf(&y, "# Settings that reach this world; written at every start.\n")
	fmt.Fprintf(&y, "nats:\n  url: %s\nprefix: %s\n", s.NATS.URL, s.NATS.Prefix)
	fmt.Fprintf(&y, "s3:\n  endpoint: %s\n  region: %s\n  path-style: true\n  buckets: [%s]\n", s.S3.Endpoint, s.S3.Region, bucket)
	fmt.Fprintf(&y, "redox:\n  environment: %s\n  api-url: %s\n  token-url: %s\n  blob-url: %s\n  blob-hosts: [%s]\n  client-id: %s\n  key-file: %s\n  key-id: %s\n  source-id: %s\n",
		s.Redox.Environment, s.Redox.APIURL, s.Redox.TokenURL, s.Redox.BlobURL, blobHost, s.Redox.ClientID, s.Redox.KeyFile, s.Redox.KeyID, s.Redox.SourceID)
	fmt.Fprintf(&y, "bucket: %s\n", bucket)
	if err := os.WriteFile(filepath.Join(w.dir, "chartpost.yaml"), y.Bytes(), 0o600); err != nil {
		return err
	}
	env := fmt.Sprintf("export INTAKE=%s\nexport CHARTPOST_CONFIG=%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n",
		w.intake, filepath.Join(w.dir, "chartpost.yaml"), os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	return os.WriteFile(filepath.Join(w.dir, "env"), []byte(env), 0o600)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/fault"
)

type checkCmd struct {
	workerCmd `embed:""`
}

// Help adds to the command's --help.
func (checkCmd) Help() string {
	return "Takes the worker's flags, tries what the worker will need, and sends no message. Exit code 0 when everything works, 2 when the settings are wrong, 1 when something else does not work."
}

// checkTime bounds each line.
const checkTime = 15 * time.Second

func (c *checkCmd) Run(ctx context.Context, std streams) error {
	s := c.settings()
	r := &report{w: std.out}
	if err := s.Check(); err != nil {
		r.line("settings", err)
		return usage(errors.New("the settings are wrong; nothing else was tried"))
	}
	r.line("settings", nil)
	// The library's own chatter about a lost connection would only repeat a line.
	silent := slog.New(slog.DiscardHandler)
	c.checkQueue(ctx, s, r, silent)
	c.checkFiles(ctx, s, r)
	c.checkRedox(ctx, s, r, silent)
	if r.failed > 0 {
		return fmt.Errorf("%d of %d checks failed", r.failed, r.done)
	}
	return nil
}

func (c *checkCmd) checkQueue(ctx context.Context, s app.Settings, r *report, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	queue, err := app.Queue(s.NATS, "check", log)
	r.line("nats connection", err)
	if err != nil {
		return
	}
	defer queue.Close()
	r.line("nats streams and buckets", queue.Verify(ctx))
}

func (c *checkCmd) checkFiles(ctx context.Context, s app.Settings, r *report) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	source, err := app.Source(ctx, s.S3, s.Delivery)
	if err != nil {
		r.line("s3", err)
		return
	}
	for _, one := range source.Check(ctx) {
		what := strings.TrimSuffix("s3 "+one.Bucket, " ")
		switch {
		case one.Fault == nil:
			r.line(what, nil)
		case one.Fault.Kind == fault.Permanent && one.Fault.Code == "list_forbidden":
			r.warn(what, one.Fault)
		default:
			r.line(what, one.Fault)
		}
	}
}

func (c *checkCmd) checkRedox(ctx context.Context, s app.Settings, r *report, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client, err := app.Client(s.Redox, s.Delivery, log)
	r.line("redox key", err)
	if err != nil {
		return
	}
	defer client.Close()
	r.line("redox token", client.Authorize(ctx))
}

// report prints one line a check, and what to do under the ones that failed.
type report struct {
	w            io.Writer
	done, failed int
}

func (r *report) line(what string, err error) {
	r.done++
	if err == nil {
		fmt.Fprintf(r.w, "ok    %s\n", what)
		return
	}
	r.failed++
	fmt.Fprintf(r.w, "FAIL  %s\n      %s\n", what, strings.ReplaceAll(err.Error(), "\n", "\n      "))
}

// warn prints a line for what may or may not be a fault.
func (r *report) warn(what string, err error) {
	r.done++
	fmt.Fprintf(r.w, "warn  %s\n      %s\n", what, err)
}

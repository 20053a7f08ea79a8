package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

type sendCmd struct {
	jobFlags `embed:""`
	Class    string        `default:"live" enum:"live,backfill" help:"Lane: live or backfill." group:"Job"`
	Wait     time.Duration `default:"1m" help:"How long to follow the job; 0 returns once it is published."`
	JSON     bool          `name:"json" help:"Print the events as JSON, one a line."`
	NATS     app.NATS      `embed:"" prefix:"nats-" group:"NATS"`
	S3       app.S3        `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (sendCmd) Help() string {
	return `Examples:

  chartpost send job.json
  chartpost send --to good-health --patient patient.json --upload report.pdf --bucket reports
  chartpost send --to good-health --patient patient.json --file s3://reports/2026/11/a.pdf --json

The job is checked as the worker checks it before anything is uploaded or published. It is then followed to its end: exit code 0 when it was accepted, 3 when it ended otherwise, 4 when --wait was over first.`
}

func (c *sendCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	data, job, err := c.load(std.in, time.Now())
	if err != nil {
		return err
	}
	if err := errors.Join(c.NATS.Check(), c.S3.Check()); err != nil {
		return usage(err)
	}
	log := cli.Log.logger(std.err)
	queue, err := app.Queue(c.NATS, "send", log)
	if err != nil {
		return err
	}
	defer queue.Close()
	if c.Upload != "" {
		if err := c.put(ctx, job.Files[0]); err != nil {
			return err
		}
	}
	lane := schemas.Lane{Class: schemas.Class(c.Class), Destination: job.Destination.Address()}
	if c.Wait == 0 {
		return submit(ctx, queue, lane, job.ID, data, std)
	}
	return c.follow(ctx, queue, lane, job.ID, data, std)
}

// put brings the local file to where the job says it is.
func (c *sendCmd) put(ctx context.Context, target schemas.File) error {
	file, err := os.Open(c.Upload)
	if err != nil {
		return usage(fmt.Errorf("--upload: %w", err))
	}
	defer file.Close()
	source, err := app.Source(ctx, c.S3, app.Delivery{Concurrency: 1, Stall: time.Minute})
	if err != nil {
		return err
	}
	about, err := file.Stat()
	if err != nil {
		return usage(fmt.Errorf("--upload: %w", err))
	}
	_, err = source.Put(ctx, s3source.Upload{
		Bucket: target.Bucket, Key: target.Key, ContentType: target.ContentType, Body: file, Size: about.Size(),
	})
	if err != nil {
		return fmt.Errorf("--upload: %w", err)
	}
	return nil
}

func submit(ctx context.Context, queue *natsq.Conn, lane schemas.Lane, id string, data []byte, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, submitTime)
	defer cancel()
	known, err := queue.Outbox().Submit(ctx, lane, id, data)
	switch {
	case err != nil:
		return fmt.Errorf("publishing the job: %w", err)
	case known:
		return fmt.Errorf("the queue has seen a job with the id %s a short while ago and dropped this one; give it another id if it is another job", id)
	}
	fmt.Fprintln(std.err, "published", id)
	return nil
}

// submitTime is how long a publish is tried.
const submitTime = 30 * time.Second

// follow publishes the job and prints its events until the last one.
func (c *sendCmd) follow(ctx context.Context, queue *natsq.Conn, lane schemas.Lane, id string, data []byte, std streams) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Wait, errWaited)
	defer cancel()
	last := schemas.Status("")
	table := show.NewEvents(std.out, isTerminal(std.out))
	encoder := json.NewEncoder(std.out)
	encoder.SetEscapeHTML(false)
	err := queue.Watch(ctx, &lane, time.Now().Add(-time.Second),
		func() error { return submit(ctx, queue, lane, id, data, std) },
		func(event schemas.Event) bool {
			if event.Data.JobID != id {
				return true
			}
			if c.JSON {
				encoder.Encode(event)
			} else {
				table.Add(event)
			}
			last = event.Data.Status
			return !last.Final()
		})
	switch {
	case err != nil:
		return err
	case last == schemas.StatusAccepted:
		return nil
	case last.Final():
		return &failure{exitNotAccepted, fmt.Errorf("the job %s ended as %s", id, last)}
	case errors.Is(context.Cause(ctx), errWaited):
		return &failure{exitTimeout, fmt.Errorf("the job %s had not ended after %s; it goes on by itself", id, c.Wait)}
	}
	return errors.New("interrupted; the job goes on by itself")
}

var errWaited = errors.New("the wait is over")

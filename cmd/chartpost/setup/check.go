package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/chartpost/chartpost/cmd/chartpost/worker"
	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/fault"
)

// CheckCmd tries the settings of a worker.
type CheckCmd struct {
	worker.Cmd `embed:""`

	JSON bool `name:"json" help:"Print JSON, one check a line."`
}

// Help adds to the command's --help.
func (CheckCmd) Help() string {
	return `Takes the worker's flags, tries what the worker will need, and sends no message. Exit code 0 when everything works; 2 when the settings are wrong, and then nothing is tried; 1 when something else does not work.

Give it the worker's own settings, and run it where the worker runs:

  CHARTPOST_CONFIG=/etc/chartpost/chartpost.yaml chartpost check`
}

// checkTime bounds each line.
const checkTime = 15 * time.Second

// What an operator can do about Redox.
var (
	adviceKey   = "see " + cli.Flags("redox-key-file", "redox-key-id", "redox-client-id", "redox-tls-ca")
	adviceToken = "see " + cli.Flags("redox-client-id", "redox-key-id", "redox-token-url", "redox-token-audience", "redox-tls-ca") + "; the dashboard of Redox shows which keys the client has"
)

// Run executes the command.
func (c *CheckCmd) Run(ctx context.Context, std cli.Streams) error {
	s := c.Settings()
	r := &results{w: std.Out, json: c.JSON}
	r.line("settings", nil, "")
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

func (c *CheckCmd) checkQueue(ctx context.Context, s app.Settings, r *results, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	queue, err := app.Queue(s.NATS, "check", log)
	r.line("nats connection", err, cli.AdviceNATS)
	if err != nil {
		return
	}
	defer queue.Close()
	err = queue.Verify(ctx)
	r.line("nats streams and buckets", err, cli.AdviceStreams)
	if err != nil {
		return
	}
	// Jobs are delivered without it.
	if err := queue.VerifyIndex(ctx); err != nil {
		r.warn("nats job index", err)
	} else {
		r.line("nats job index", nil, "")
	}
}

func (c *CheckCmd) checkFiles(ctx context.Context, s app.Settings, r *results) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	source, err := app.Source(ctx, s.S3, s.Delivery)
	if err != nil {
		r.line("s3", err, cli.AdviceS3At(c.S3.Endpoint))
		return
	}
	for _, one := range source.Check(ctx) {
		what := strings.TrimSuffix("s3 "+one.Bucket, " ")
		switch {
		case one.Fault == nil:
			r.line(what, nil, "")
		case one.Fault.Kind == fault.Permanent && one.Fault.Code == "list_forbidden":
			r.warn(what, one.Fault)
		default:
			r.line(what, silent(ctx, one.Fault), cli.AdviceS3At(c.S3.Endpoint))
		}
	}
}

// silent says that S3 did not answer, where the check has waited for it to its end; err is
// what came of that.
func silent(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("S3 did not answer within %s", checkTime)
	}
	return err
}

func (c *CheckCmd) checkRedox(ctx context.Context, s app.Settings, r *results, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client, err := app.Client(s.Redox, s.Delivery, nil, log)
	if err != nil {
		r.line("redox key", err, adviceKey)
		return
	}
	defer client.Close()
	if exposed := s.Redox.Exposed(); exposed != nil {
		r.warn("redox key", exposed)
	} else {
		r.line("redox key", nil, "")
	}
	r.line("redox token", client.Authorize(ctx), adviceToken)
}

// results prints one line a check, and what to do under the ones that failed.
type results struct {
	w            io.Writer
	json         bool
	done, failed int
}

func (r *results) line(what string, err error, advice string) {
	r.done++
	if err != nil {
		r.failed++
	}
	switch {
	case r.json && err != nil:
		r.encode(checkJSON{Check: what, Result: "failed", Text: err.Error(), Advice: advice})
		return
	case r.json:
		r.encode(checkJSON{Check: what, Result: "ok"})
		return
	case err == nil:
		fmt.Fprintf(r.w, "ok    %s\n", what)
		return
	}
	fmt.Fprintf(r.w, "FAIL  %s\n", what)
	for line := range strings.SplitSeq(err.Error()+"\n"+advice, "\n") {
		fmt.Fprintf(r.w, "      %s\n", line)
	}
}

// warn prints a line for what may or may not be a fault.
func (r *results) warn(what string, err error) {
	r.done++
	if r.json {
		r.encode(checkJSON{Check: what, Result: "warning", Text: err.Error()})
		return
	}
	fmt.Fprintf(r.w, "warn  %s\n      %s\n", what, err)
}

// checkJSON is a check in JSON; Result is ok, warning or failed.
type checkJSON struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Text   string `json:"text,omitempty"`
	Advice string `json:"advice,omitempty"`
}

func (r *results) encode(c checkJSON) { cli.JSONLines(r.w).Encode(c) }

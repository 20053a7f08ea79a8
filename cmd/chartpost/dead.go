package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

// deadCmd are the commands for dead letters; docs/operating.md tells how to use
// them.
type deadCmd struct {
	Ls      deadLsCmd      `cmd:"" help:"List the dead letters, without their content."`
	Resolve deadResolveCmd `cmd:"" help:"Decide about a job of which nobody knows whether Redox has it."`
}

type deadLsCmd struct {
	Destination string   `placeholder:"NAME" help:"Only those of this slug or id." group:"Dead letters"`
	Class       string   `placeholder:"CLASS" help:"Only those of this class: live or backfill." group:"Dead letters"`
	Reason      string   `placeholder:"CODE" help:"Only those with this code of the reason." group:"Dead letters"`
	Status      string   `placeholder:"STATUS" help:"Only those of jobs that ended so: failed, unknown or duplicate." group:"Dead letters"`
	JSON        bool     `name:"json" help:"Print JSON, one dead letter a line."`
	NATS        app.NATS `embed:"" group:"NATS"`
}

func (c *deadLsCmd) check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	oneOf := func(flag, given string, words ...string) {
		if given != "" && !slices.Contains(words, given) {
			faults = append(faults, fmt.Errorf("--%s: must be %s, not %q", flag, alternatives(words), given))
		}
	}
	oneOf("class", c.Class, string(schemas.Live), string(schemas.Backfill))
	oneOf("status", c.Status, string(schemas.StatusFailed), string(schemas.StatusUnknown), string(schemas.StatusDuplicate))
	return errors.Join(faults...)
}

func (c *deadLsCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	queue, err := app.Queue(c.NATS, "dead", cli.Log.logger(std))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, adviceNATS)
	}
	defer queue.Close()
	encoder := json.NewEncoder(std.out)
	encoder.SetEscapeHTML(false)
	var rows []show.Letter
	err = queue.Letters(ctx, func(l natsq.Letter) bool {
		switch {
		case !c.wants(l):
		case c.JSON:
			return encoder.Encode(letterJSON(l)) == nil
		default:
			rows = append(rows, letterRow(l))
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, adviceStreams)
	}
	if !c.JSON {
		show.Letters(std.out, rows)
	}
	return nil
}

// wants tells whether a dead letter passes the filters.
func (c *deadLsCmd) wants(l natsq.Letter) bool {
	for _, one := range []struct{ want, is string }{
		{c.Destination, l.Lane.Destination}, {c.Class, string(l.Lane.Class)}, {c.Reason, l.Reason.Code}, {c.Status, string(l.Status)},
	} {
		if one.want != "" && one.want != one.is {
			return false
		}
	}
	return true
}

func letterRow(l natsq.Letter) show.Letter {
	return show.Letter{
		Buried: l.Buried, Job: l.JobID, Class: string(l.Lane.Class), Destination: l.Lane.Destination, Status: string(l.Status),
		Reason: l.Reason.Code, Path: l.Reason.Path, PossibleDuplicate: l.PossibleDuplicate, Size: l.Size,
	}
}

// letterJSON is a dead letter in JSON.
func letterJSON(l natsq.Letter) any {
	return struct {
		Sequence          uint64          `json:"sequence"`
		Buried            time.Time       `json:"buried"`
		JobID             string          `json:"job_id,omitempty"`
		Class             schemas.Class   `json:"class"`
		Destination       string          `json:"destination"`
		Status            schemas.Status  `json:"status,omitempty"`
		Reason            *schemas.Reason `json:"reason,omitempty"`
		PossibleDuplicate bool            `json:"possible_duplicate"`
		Size              int             `json:"size"`
	}{l.Sequence, l.Buried, l.JobID, l.Lane.Class, l.Lane.Destination, l.Status, reasonOf(l), l.PossibleDuplicate, l.Size}
}

func reasonOf(l natsq.Letter) *schemas.Reason {
	if l.Reason.Code == "" {
		return nil
	}
	return &l.Reason
}

type deadResolveCmd struct {
	Job string `arg:"" help:"Id of the job."`

	Resend   bool     `help:"Send the job again as it came; its events say that the message may be there twice." group:"Dead letters"`
	Accepted bool     `help:"The message was found at Redox: the job counts as accepted." group:"Dead letters"`
	By       string   `placeholder:"NAME" help:"Who decides; empty is the user of this system." group:"Dead letters"`
	NATS     app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (deadResolveCmd) Help() string {
	return `For jobs that ended as unknown: Redox may or may not have the message. Look for it there first; the identifiers in it derive from the job id.

The command can be repeated when it was interrupted. It refuses a job that has been accepted since, and one that ended otherwise.`
}

func (c *deadResolveCmd) check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	if !schemas.ValidJobID(c.Job) {
		faults = append(faults, errors.New("<job>: must be the id of a job: 1 to 128 of letters, digits, _ and -"))
	}
	if c.Resend == c.Accepted {
		faults = append(faults, errors.New("--resend: give either --resend or --accepted"))
	}
	if c.By == "" {
		c.By = systemUser()
	}
	if !printable(c.By, mostName) {
		faults = append(faults, fmt.Errorf("--by: must be a name of 1 to %d printable characters", mostName))
	}
	return errors.Join(faults...)
}

func (c *deadResolveCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	queue, err := app.Queue(c.NATS, "dead", cli.Log.logger(std))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, adviceNATS)
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, adviceStreams)
	}
	desk := deadletter.Desk{
		Letters: queue, Publisher: queue.Outbox(), Ledger: ledger.New(bucket, ledger.Patience),
		Prefix: c.NATS.Prefix, By: "operator " + c.By, Now: time.Now,
	}
	decide := desk.Accept
	if c.Resend {
		decide = desk.Resend
	}
	outcome, err := decide(ctx, c.Job)
	if err != nil {
		return fmt.Errorf("job %s: %w", c.Job, err)
	}
	fmt.Fprintln(std.out, c.Job+":", said[outcome])
	return nil
}

// resolveTime bounds all steps of a decision together.
const resolveTime = 2 * time.Minute

var said = map[deadletter.Outcome]string{
	deadletter.Resent:   "is on its way again; its dead letter is removed",
	deadletter.UnderWay: "was on its way again already; its dead letter is removed",
	deadletter.Accepted: "counts as accepted; its dead letter is removed",
}

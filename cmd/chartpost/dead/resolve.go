package dead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/audit"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

type resolveCmd struct {
	Job string `arg:"" help:"The job: its id, or DESTINATION/ID where several destinations have that id."`

	Resend   bool `help:"Send the job again as it came; its events say that the message may be there twice." group:"Dead letters" percall:""`
	Accepted bool `help:"The message was found at Redox: the job counts as accepted." group:"Dead letters" percall:""`

	cli.AuditFlags `embed:""`
	cli.YesFlag    `embed:""`

	JSON bool     `name:"json" help:"Print JSON." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (resolveCmd) Help() string {
	return `For jobs that ended as unknown: Redox may or may not have the message. Look for it there first; the identifiers in it derive from destination and job id.

Examples:

  chartpost dead ls --status unknown
  chartpost dead resolve lab-1 --accepted --reason "seen in the dashboard"
  chartpost dead resolve lab-2 --resend --yes

The command can be repeated when it was interrupted. It refuses a job that has been accepted since, and one that ended otherwise. Exit code 5 when there is no dead letter of the job.`
}

func (c *resolveCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.Complete(false)}
	if _, err := schemas.ParseJobKey(c.Job); err != nil {
		faults = append(faults, cli.ErrJob)
	}
	if c.Resend == c.Accepted {
		faults = append(faults, errors.New("--resend: give either --resend or --accepted"))
	}
	return errors.Join(faults...)
}

// resolveTime bounds all steps of a decision together.
const resolveTime = 2 * time.Minute

func (c *resolveCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	job, err := schemas.ParseJobKey(c.Job)
	if err != nil {
		return cli.Usage(err)
	}
	question, how := "Count the job "+c.Job+" as accepted by Redox?", "accepted"
	if c.Resend {
		question, how = "Send the job "+c.Job+" again, although Redox may have it?", "resend"
	}
	if err := c.Confirm(ctx, std, question); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	desk, err := open(ctx, c.NATS, c.Operator, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	decide := desk.Accept
	if c.Resend {
		decide = desk.Resend
	}
	notes := c.Trail(ctx, desk.Conn, c.NATS.Prefix, schemas.DeadResolve, map[string]string{"as": how})
	outcome, err := desk.noted(ctx, notes, func() (deadletter.Outcome, error) { return decide(ctx, job) })
	if err != nil {
		return deadFailure(c.Job, err)
	}
	if c.JSON {
		return cli.JSONLines(std.Out).Encode(doneJSON{JobID: job.ID, Outcome: outcome})
	}
	_, err = fmt.Fprintln(std.Out, c.Job+":", said[outcome])
	return err
}

// noted does act, which tells Before of what it is about to do, with its records
// in the audit.
func (d *desk) noted(ctx context.Context, notes *audit.Trail, act func() (deadletter.Outcome, error)) (deadletter.Outcome, error) {
	var written *audit.Entry
	d.Before = func(ctx context.Context, l natsq.Letter) (err error) {
		written, err = notes.Request(ctx, targetOf(l))
		return err
	}
	outcome, err := act()
	if written != nil {
		err = written.End(ctx, string(outcome), err)
	}
	return outcome, err
}

// deadFailure gives an error its job and its exit code.
func deadFailure(job string, err error) error {
	named := fmt.Errorf("job %s: %w", job, err)
	if errors.Is(err, deadletter.ErrNone) {
		return cli.Exit(cli.ExitNothing, named)
	}
	return named
}

// doneJSON is what was done with a dead letter, in JSON.
type doneJSON struct {
	Sequence uint64             `json:"sequence,omitempty"`
	JobID    string             `json:"job_id,omitempty"`
	Outcome  deadletter.Outcome `json:"outcome,omitempty"`
	// Refused is the code of a refusal, and Text what it says.
	Refused string `json:"refused,omitempty"`
	Text    string `json:"text,omitempty"`
	DryRun  bool   `json:"dry_run,omitempty"`
}

var said = map[deadletter.Outcome]string{
	deadletter.Resent:          "is on its way again; its dead letter is removed",
	deadletter.ResentForgotten: "is on its way again as a possible duplicate, since the ledger has forgotten it; its dead letter is removed",
	deadletter.UnderWay:        "was on its way again already; its dead letter is removed",
	deadletter.Accepted:        "counts as accepted; its dead letter is removed",
	deadletter.Dropped:         "its dead letter is removed, and the job with it",
	deadletter.Gone:            "somebody else had removed its dead letter",
}

// wouldBe is what a dry run says of an outcome.
func wouldBe(outcome deadletter.Outcome) string {
	if outcome == deadletter.ResentForgotten {
		return "would be resent as a possible duplicate, since the ledger has forgotten it"
	}
	return "would be " + string(outcome)
}

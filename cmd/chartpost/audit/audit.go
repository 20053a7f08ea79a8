// Package audit shows what operators did.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

// Cmd are the commands for the audit.
type Cmd struct {
	Ls lsCmd `cmd:"" help:"List what operators did."`
}

type lsCmd struct {
	Action        string `default:"" enum:",lane-pause,lane-resume,lane-limit,dead-replay,dead-resolve,dead-drop,dead-show,backfill-run,backfill-pause,backfill-resume,backfill-cancel,backfill-forget,events-subscribe,events-unsubscribe" placeholder:"ACTION" help:"Only this action, like lane-pause or dead-drop." group:"Events" percall:""`
	Job           string `placeholder:"ID" help:"Only what was done with this job." group:"Events" percall:""`
	cli.TimeFlags `embed:"" group:"Events"`

	JSON bool     `name:"json" help:"Print the records as JSON, one a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lsCmd) Help() string {
	return `Examples:

  chartpost audit ls --since 24h
  chartpost audit ls --action dead-drop --since 2026-11-01 --json

Each action has a record from before it was done (requested) and one from after (done or failed). Single records can neither be deleted nor purged; they age out after --audit-age.`
}

func (c *lsCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.Parse(time.Now())}
	if c.Job != "" && !schemas.ValidJobID(c.Job) {
		faults = append(faults, errors.New("--job: must be the id of a job: 1 to 128 of letters, digits, _ and -"))
	}
	return errors.Join(faults...)
}

func (c *lsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "audit", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	encoder := cli.JSONLines(std.Out)
	var rows [][]string
	var written error
	of := natsq.AuditRange{Since: c.From, JobID: c.Job, Action: schemas.Action(c.Action)}
	err = queue.Audits(ctx, of, func(a schemas.Audit) bool {
		switch {
		case !c.Within(a.Time):
		case c.JSON:
			written = encoder.Encode(a)
		default:
			rows = append(rows, auditRow(a))
		}
		return written == nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceAudit)
	}
	if !c.JSON {
		return show.Table(std.Out, []string{"TIME", "OPERATOR", "ACTION", "STAGE", "TARGET", "RESULT", "REASON"}, rows)
	}
	return written
}

func auditRow(a schemas.Audit) []string {
	d := a.Data
	result := cmp.Or(d.Result, cli.CorrelationText(d.Parameters))
	return []string{cli.When(a.Time), d.Operator.Name, string(d.Action), string(d.Stage), targetOf(a), result, d.Reason}
}

// targetOf is what was acted upon; the entries of all lanes together name none.
func targetOf(a schemas.Audit) string {
	if a.Data.Target == (schemas.Target{}) {
		return "all lanes"
	}
	return strings.TrimPrefix(a.Subject, "lane/")
}

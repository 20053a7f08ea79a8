package dead

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome/told"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

type showCmd struct {
	Job string `arg:"" optional:"" help:"The job: its id, or DESTINATION/ID."`

	Sequence    uint64 `placeholder:"N" help:"The dead letter with this sequence, which ls --json shows." group:"Dead letters" percall:""`
	ShowContent bool   `help:"Print the job as it came, and nothing else: it holds patient data. The audit names who did." group:"Dead letters" percall:""`

	cli.AuditFlags `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one dead letter a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (showCmd) Help() string {
	return `Examples:

  chartpost dead show lab-2026-000123
  chartpost dead show --sequence 17 --json
  chartpost dead show lab-2026-000123 --show-content \
      --reason "to correct it" > job.json

Without --show-content no word of the message, and no key or title of a file, is shown. With it the newest dead letter of the job is printed: into a file or pipe byte for byte, on a terminal with all that the terminal would obey made visible. Corrected, it can be sent by "chartpost send job.json". The line of a backfill run is counted for its run when it is sent with --class backfill. Exit code 5 when there is no such dead letter.`
}

func (c *showCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.Complete(false)}
	switch {
	case (c.Job == "") == (c.Sequence == 0):
		faults = append(faults, errors.New("<job>: give either a job or --sequence"))
	case c.Job != "":
		if _, err := schemas.ParseJobKey(c.Job); err != nil {
			faults = append(faults, cli.ErrJob)
		}
	}
	return errors.Join(faults...)
}

func (c *showCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	desk, err := open(ctx, c.NATS, c.Operator, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	target := target{}
	if c.Job != "" {
		target.Jobs = []string{c.Job}
	} else {
		target.Sequence = []uint64{c.Sequence}
	}
	letters, _, err := target.find(ctx, desk.Conn)
	if err != nil {
		return err
	}
	if c.ShowContent {
		if err := target.ambiguous(); err != nil {
			return err
		}
		return c.content(ctx, std, desk, letters[len(letters)-1])
	}
	since, err := deadletter.AcceptedSince(ctx, desk.ledger, letters)
	if err != nil {
		return err
	}
	counted := told.Counted(ctx, desk.Conn)
	for i, l := range letters {
		data, err := desk.Content(ctx, l)
		if errors.Is(err, natsq.ErrNoLetter) {
			continue
		}
		if err != nil {
			return err
		}
		if i > 0 && !c.JSON {
			fmt.Fprintln(std.Out)
		}
		err = c.tell(std, letterWithJob{summaryOf(l, since[i]), jobOf(data), counted(l.Job())}, l)
		if err != nil {
			return err
		}
	}
	return nil
}

// tell prints one letter.
func (c *showCmd) tell(std cli.Streams, told letterWithJob, l natsq.Letter) error {
	if c.JSON {
		return cli.JSONLines(std.Out).Encode(told)
	}
	pairs := append(letterPairs(l, told.Job, time.Now()), [2]string{"redox logs", told.RedoxLogs})
	if told.AcceptedSince {
		pairs = append(pairs, [2]string{"since", "the job was accepted since; `dead drop --accepted-since` removes this letter"})
	}
	return show.Pairs(std.Out, pairs)
}

func summaryOf(l natsq.Letter, acceptedSince bool) deadletter.Summary {
	s := deadletter.Summarize(l)
	s.AcceptedSince = acceptedSince
	return s
}

// content prints a job once the audit has taken who reads it.
func (c *showCmd) content(ctx context.Context, std cli.Streams, desk *desk, l natsq.Letter) error {
	notes := c.Trail(ctx, desk.Conn, c.NATS.Prefix, schemas.DeadShow, nil)
	return notes.Do(ctx, targetOf(l), func() (string, error) {
		data, err := desk.Content(ctx, l)
		if errors.Is(err, natsq.ErrNoLetter) {
			return "", cli.Exit(cli.ExitNothing, err)
		}
		if err == nil {
			_, err = std.Out.Write(data)
		}
		return "shown", err
	})
}

// jobSummary is what can be said of a job without its content.
type jobSummary struct {
	Operation   string            `json:"operation"`
	Environment string            `json:"environment"`
	RequestedAt time.Time         `json:"requested_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Files       int               `json:"files"`
	Transfer    string            `json:"transfer,omitempty"`
	Message     int               `json:"message_bytes"`
	Correlation map[string]string `json:"correlation,omitempty"`
}

// letterWithJob is a dead letter and its job in JSON.
type letterWithJob struct {
	deadletter.Summary
	Job *jobSummary `json:"job,omitempty"`
	// RedoxLogs is what counting Redox's logs has shown of a job of unknown outcome.
	RedoxLogs string `json:"redox_logs,omitempty"`
}

// jobOf is nil for what cannot be understood.
func jobOf(data []byte) *jobSummary {
	job, err := schemas.DecodeJob(data)
	if err != nil {
		return nil
	}
	return &jobSummary{
		Operation: job.Operation, Environment: string(job.Destination.Environment), RequestedAt: job.RequestedAt.UTC(), ExpiresAt: job.Deadline().UTC(),
		Files: len(job.Files), Transfer: string(job.Transfer), Message: len(job.Message), Correlation: job.Correlation,
	}
}

func letterPairs(l natsq.Letter, job *jobSummary, now time.Time) [][2]string {
	twice := ""
	if l.PossibleDuplicate {
		twice = "POSSIBLE DUPLICATE: Redox may have the message already"
	}
	pairs := [][2]string{
		{"dead letter", strconv.FormatUint(l.Sequence, 10)}, {"buried", cli.When(l.Buried)}, {"job", l.Name()}, {"after", l.After},
		{"lane", string(l.Lane.Class) + " " + l.Lane.Destination}, {"status", string(l.Status)},
		{"reason", strings.TrimSpace(l.Reason.Kind + " " + l.Reason.Code + " " + l.Reason.Path)}, {"", l.Reason.Text}, {"twice", twice},
		{"size", strconv.Itoa(l.Size) + " bytes"},
	}
	if job == nil {
		return append(pairs, [2]string{"content", "cannot be understood as a job"})
	}
	expires := cli.When(job.ExpiresAt)
	if now.After(job.ExpiresAt) {
		expires += " (has passed; see replay --expires-in)"
	}
	return append(pairs, [][2]string{
		{"operation", job.Operation}, {"environment", job.Environment}, {"requested", cli.When(job.RequestedAt)}, {"expires", expires},
		{"files", strconv.Itoa(job.Files)}, {"message", strconv.Itoa(job.Message) + " bytes"}, {"correlation", cli.CorrelationText(job.Correlation)},
	}...)
}

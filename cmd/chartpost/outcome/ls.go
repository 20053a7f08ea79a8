package outcome

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/outcome/told"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

type lsCmd struct {
	Not         string        `default:"" enum:",delivered" placeholder:"delivered" help:"delivered: leave out what was delivered." group:"Outcomes" percall:""`
	Destination string        `placeholder:"NAME" help:"Only messages for this slug or id." group:"Outcomes" percall:""`
	Last        time.Duration `default:"168h" placeholder:"DURATION" help:"Outcomes that were told in this time; what is waited for is listed whatever its age." group:"Outcomes" percall:""`
	Limit       int           `default:"200" placeholder:"N" help:"At most so many; 0 is no limit." group:"Outcomes" percall:""`
	JSON        bool          `name:"json" help:"Print JSON, one message a line."`
	NATS        app.NATS      `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lsCmd) Help() string {
	return `Examples:

  chartpost outcome ls --not delivered
  chartpost outcome ls --not delivered --json | jq .job_id

Lists what the follower waits for (waiting, stalled), what failed at Redox (undelivered), and what else was told: filtered, unconfirmed and, without --not delivered, delivered. Messages that are counted in windows of several have no outcome of their own: chartpost outcome lanes sums them up.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *lsCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	if c.Destination != "" && !schemas.ValidAddress(c.Destination) {
		faults = append(faults, errors.New("--destination: must be a slug or id as jobs have it: 1 to 128 of letters, digits and . _ ~ -"))
	}
	if c.Last <= 0 || c.Limit < 0 {
		faults = append(faults, errors.New("--last, --limit: must not be negative"))
	}
	return errors.Join(faults...)
}

// message is a line of the list.
type message struct {
	JobID       string            `json:"job_id"`
	Class       schemas.Class     `json:"class"`
	Destination string            `json:"destination"`
	Attempt     int               `json:"attempt"`
	Outcome     string            `json:"outcome"`
	Since       time.Time         `json:"since"`
	Evidence    *schemas.Evidence `json:"evidence,omitempty"`
}

// Run executes the command.
func (c *lsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	queue, err := cli.Connect(c.NATS, "outcome", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	v, err := told.Read(ctx, queue)
	if err != nil {
		return err
	}
	messages, err := c.messages(ctx, queue, v)
	if err != nil {
		return err
	}
	rows := make([][]string, 0, len(messages))
	for _, m := range messages {
		if c.JSON {
			if err := cli.JSONLines(std.Out).Encode(m); err != nil {
				return err
			}
		}
		log := ""
		if m.Evidence != nil {
			log = m.Evidence.LogID
		}
		rows = append(rows, []string{m.Since.Local().Format(time.DateTime), m.JobID, string(m.Class), m.Destination, strconv.Itoa(m.Attempt), m.Outcome, log})
	}
	if !c.JSON {
		if err := show.Table(std.Out, []string{"SINCE", "JOB", "CLASS", "DESTINATION", "TRY", "OUTCOME", "LOG"}, rows); err != nil {
			return err
		}
	}
	note(std.Err, v, time.Now())
	return nil
}

// messages are what the bucket waits for, and what the events tell of others.
func (c *lsCmd) messages(ctx context.Context, queue *natsq.Conn, v *outcome.View) ([]message, error) {
	var all []message
	waits := map[string]bool{}
	for _, j := range v.Jobs {
		if c.Destination != "" && j.Destination != c.Destination {
			continue
		}
		waits[name(j.Destination, j.ID, j.Attempt)] = true
		all = append(all, ofJob(j))
	}
	of := natsq.EventRange{Since: time.Now().Add(-c.Last)}
	of.Destination = c.Destination
	of.Statuses = []schemas.Status{schemas.StatusFiltered, schemas.StatusUnconfirmed, schemas.StatusUndelivered}
	if c.Not == "" {
		of.Statuses = append(of.Statuses, schemas.StatusDelivered)
	}
	_, err := queue.Events(ctx, of, func(e natsq.StoredEvent, _ []byte) bool {
		d := e.Event.Data
		// A failed message that is not waited for any more was delivered since, unless
		// it is no longer followed.
		followed := d.Status == schemas.StatusUndelivered && time.Since(e.Event.Time) < leastReopen
		if !waits[name(d.Destination, d.JobID, d.Attempt)] && !followed {
			all = append(all, message{d.JobID, d.Class, d.Destination, d.Attempt, string(d.Status), e.Event.Time, d.Evidence})
		}
		return true
	})
	slices.SortStableFunc(all, func(a, b message) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.JobID, b.JobID))
	})
	if c.Limit > 0 && len(all) > c.Limit {
		all = all[len(all)-c.Limit:]
	}
	return all, err
}

// leastReopen is how long a failed message is followed.
const leastReopen = 7 * 24 * time.Hour

func name(destination, id string, attempt int) string {
	return destination + "/" + id + "/" + strconv.Itoa(attempt)
}

// ofJob is a job that the follower waits for.
func ofJob(j *outcome.Job) message {
	m := message{j.ID, j.Class, j.Destination, j.Attempt, j.Stands(), j.AcceptedAt, nil}
	if !j.ToldAt.IsZero() {
		m.Since = j.ToldAt
	}
	if len(j.Logs) > 0 {
		m.Evidence = &schemas.Evidence{LogID: j.Logs[0].ID, Window: j.Window, At: m.Since}
	}
	return m
}

package job

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/timeline"
	"github.com/chartpost/chartpost/schemas"
)

// jobStatus is what is known of a job, in JSON.
type jobStatus struct {
	JobID string `json:"job_id"`
	// State is working, sending, waiting, accepted, failed, unknown or cancelled by
	// the record; queued or dead where there is none; else the last event's status. A
	// job that was published again after its end is queued.
	State       string        `json:"state"`
	Class       schemas.Class `json:"class,omitempty"`
	Destination string        `json:"destination,omitempty"`
	Attempt     int           `json:"attempt"`
	// After is the job of the same destination that must be accepted first.
	After             string              `json:"after,omitempty"`
	PossibleDuplicate bool                `json:"possible_duplicate"`
	NextAttempt       int                 `json:"next_attempt,omitempty"`
	NextAttemptAt     time.Time           `json:"next_attempt_at,omitzero"`
	Reason            *schemas.Reason     `json:"reason,omitempty"`
	Receipt           *schemas.Receipt    `json:"receipt,omitempty"`
	Files             []schemas.EventFile `json:"files,omitempty"`
	// Owner wrote the record last, at ChangedAt.
	Owner string `json:"owner,omitempty"`
	// Waits says why a job in its lane does not move.
	Waits string `json:"waits,omitempty"`
	// Why has its causes one by one.
	Why         []diagnosis.Cause    `json:"why,omitempty"`
	ChangedAt   time.Time            `json:"changed_at,omitzero"`
	RequestedAt time.Time            `json:"requested_at,omitzero"`
	ExpiresAt   time.Time            `json:"expires_at,omitzero"`
	Events      []schemas.Event      `json:"events"`
	DeadLetters []deadletter.Summary `json:"dead_letters"`
	Audit       []schemas.Audit      `json:"audit"`
	EventsRead  int                  `json:"events_read"`
}

func statusJSON(j *timeline.Job, waits diagnosis.Answer) jobStatus {
	s := jobStatus{JobID: j.ID, State: stateOf(j), Waits: waits.Text(), Why: waits.Causes, After: j.After(), EventsRead: j.Cost.Events, Events: []schemas.Event{}, DeadLetters: []deadletter.Summary{}, Audit: []schemas.Audit{}}
	s.Audit = append(s.Audit, j.Audits...)
	if lane, known := j.Lane(); known {
		s.Class, s.Destination = lane.Class, lane.Destination
	}
	for _, e := range j.Events {
		s.Events = append(s.Events, e.Event)
		s.Attempt, s.PossibleDuplicate = e.Event.Data.Attempt, e.Event.Data.PossibleDuplicate
	}
	for _, l := range j.Letters {
		s.DeadLetters = append(s.DeadLetters, deadletter.Summarize(l))
	}
	for _, c := range []*natsq.JobCopy{j.Schedule, j.Copy, j.Again} {
		if c != nil {
			s.RequestedAt, s.ExpiresAt = c.RequestedAt, c.ExpiresAt
		}
	}
	if j.Schedule != nil {
		s.NextAttempt, s.NextAttemptAt = j.Schedule.Attempt, j.Schedule.At
	}
	if r := j.Record; r != nil {
		s.Attempt, s.PossibleDuplicate, s.Reason, s.Receipt = r.Attempt, r.PossibleDuplicate, r.Reason, r.Receipt
		s.Files, s.Owner, s.ChangedAt = r.EventFiles(), r.Owner, r.UpdatedAt
	}
	return s
}

// holds is what holds the job beside its own schedule, of which the first line speaks.
func (s jobStatus) holds() string {
	var rest diagnosis.Answer
	for _, c := range s.Why {
		if c.State != diagnosis.Scheduled && c.State != diagnosis.Predecessor {
			rest.Causes = append(rest.Causes, c)
		}
	}
	return rest.Text()
}

const stateQueued = "queued"

// stateOf says in a word what is the matter with a job.
func stateOf(j *timeline.Job) string {
	switch {
	case j.Again != nil:
		return stateQueued
	case j.Record != nil:
		return string(j.Record.Phase)
	case j.Schedule != nil:
		return string(job.Waiting)
	case j.Copy != nil:
		return stateQueued
	case len(j.Letters) > 0:
		return "dead"
	}
	return string(j.Events[len(j.Events)-1].Event.Data.Status)
}

func printStatus(std cli.Streams, j *timeline.Job, waits diagnosis.Answer, now time.Time) error {
	s := statusJSON(j, waits)
	state := show.Clean(sentence(s, j, now))
	if show.Color(std.OutTerminal, os.Getenv) {
		state = show.Paint(schemas.Status(s.State), state)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n\n", show.Clean(j.ID), state)
	twice, receipt := "", ""
	if s.PossibleDuplicate {
		twice = "POSSIBLE DUPLICATE: Redox may have the message twice"
	}
	if s.Receipt != nil {
		receipt = strings.TrimSpace(fmt.Sprintf("HTTP %d %s %s", s.Receipt.Status, s.Receipt.Location, strings.Join(s.Receipt.LogIDs, " ")))
	}
	reason := ""
	if s.Reason != nil {
		reason = strings.TrimSuffix(s.Reason.Code+" "+s.Reason.Path, " ") + ": " + s.Reason.Text
	}
	changed := cli.When(s.ChangedAt)
	if s.Owner != "" {
		changed += " by " + s.Owner
	}
	_ = show.Pairs(show.Like(std.Out, &out), [][2]string{ // to memory, as the table below
		{"lane", strings.TrimSpace(string(s.Class) + " " + s.Destination)}, {"attempt", fmt.Sprint(s.Attempt)}, {"after", s.After}, {"waits", s.holds()}, {"reason", reason}, {"twice", twice},
		{"receipt", receipt}, {"outcome", outcomeLine(s.Events)}, {"requested", cli.When(s.RequestedAt)}, {"expires", cli.When(s.ExpiresAt)}, {"changed", changed},
	})
	if rows := history(j); len(rows) > 0 {
		fmt.Fprintln(&out)
		_ = show.Table(show.Like(std.Out, &out), []string{"TIME", "WHAT", "TRY", "DETAIL"}, rows)
	}
	if j.NoAudit {
		fmt.Fprintln(std.Err, "(the audit could not be read: what operators did is left out)")
	}
	_, err := io.WriteString(show.Raw(std.Out), out.String()) // clean, except for the color
	return err
}

// sentence says what a state means, and what comes next.
func sentence(s jobStatus, j *timeline.Job, now time.Time) string {
	switch s.State {
	case stateQueued:
		if j.Again != nil {
			return "queued: it was published again after it had ended as " + string(j.Record.Phase) + "; no worker has taken that copy yet"
		}
		return "queued: no worker has taken it yet; see `chartpost lane ls`"
	case "dead":
		return "dead: it needs a person; see `chartpost dead show " + s.JobID + "`"
	case string(job.Accepted):
		return "accepted: Redox has durably queued the message"
	case string(job.Failed), string(job.Held):
		if len(j.Letters) == 0 {
			return s.State + ": final; it has no dead letter, and no later copy of it was found in its lane"
		}
		return s.State + ": final until a person decides; see `chartpost dead show " + s.JobID + "`"
	case string(job.Waiting):
		if s.NextAttemptAt.IsZero() {
			return "waiting: its next attempt is due, or in its lane"
		}
		if s.Reason != nil && s.Reason.Code == "predecessor_open" {
			return fmt.Sprintf("waiting until job %s is accepted: it looks again at %s, in %s", s.After, cli.When(s.NextAttemptAt), max(s.NextAttemptAt.Sub(now), 0).Round(time.Second))
		}
		return fmt.Sprintf("waiting: attempt %d comes at %s, in %s", s.NextAttempt, cli.When(s.NextAttemptAt), max(s.NextAttemptAt.Sub(now), 0).Round(time.Second))
	case string(job.Sending):
		return "sending: the message may be on its way to Redox at this moment"
	case string(job.Working):
		return "working: a worker has it in hand, or had; nothing is on its way to Redox"
	}
	return s.State
}

// moment is a line of the history.
type moment struct {
	at  time.Time
	row []string
}

// history tells what happened in the order in which it did.
func history(j *timeline.Job) [][]string {
	var all []moment
	add := func(at time.Time, what, try, detail string) {
		all = append(all, moment{at, []string{cli.When(at), what, try, detail}})
	}
	for _, e := range j.Events {
		add(e.Stored, string(e.Event.Data.Status), fmt.Sprint(e.Event.Data.Attempt), show.Detail(e.Event.Data))
	}
	for _, l := range j.Letters {
		add(l.Buried, "dead letter", "", strings.TrimSpace(l.Reason.Code+" "+l.Reason.Path)+fmt.Sprintf(" (sequence %d)", l.Sequence))
	}
	for _, a := range j.Audits {
		d := a.Data
		add(a.Time, string(d.Action), "", strings.TrimSuffix(fmt.Sprintf("%s by %s: %s", d.Stage, d.Operator.Name, cmp.Or(d.Result, d.Reason)), ": "))
	}
	for _, c := range []*natsq.JobCopy{j.Copy, j.Again} {
		if c != nil {
			add(c.Stored, "in its lane", "", "")
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	if c := j.Schedule; c != nil {
		add(c.At, "next attempt", fmt.Sprint(c.Attempt), "by the schedule in the queue")
	}
	var rows [][]string
	for _, m := range all {
		rows = append(rows, m.row)
	}
	return rows
}

// outcomeLine is what Redox's logs told last; empty where they told nothing.
func outcomeLine(events []schemas.Event) string {
	line := ""
	for _, e := range events {
		if e.Data.Status.Outcome() {
			line = string(e.Data.Status) + " (" + show.Detail(e.Data) + ")"
		}
	}
	return line
}

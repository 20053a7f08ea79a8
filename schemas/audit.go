package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Audit says what an operator did: a CloudEvent 1.0 in structured JSON. Its JSON
// form is audit.v1.schema.json.
type Audit struct {
	SpecVersion     string    `json:"specversion"`
	Type            string    `json:"type"`
	Source          string    `json:"source"`
	Subject         string    `json:"subject"`
	ID              string    `json:"id"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            AuditData `json:"data"`
}

// AuditData is the Chartpost part of an Audit.
type AuditData struct {
	Action Action `json:"action"`
	Stage  Stage  `json:"stage"`
	// Command is the same in all records of one command: 1 to 64 letters and
	// digits, best by chance.
	Command  string   `json:"command"`
	Operator Operator `json:"operator"`
	// Reason is the operator's own words, at most 200 characters.
	Reason string `json:"reason,omitempty"`
	Target Target `json:"target"`
	// Parameters are the settings of the action.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Result is what came of it, with the stages done and failed; at most 1,024
	// characters.
	Result string `json:"result,omitempty"`
}

// Operator is who did it, as the command itself says.
type Operator struct {
	Name string `json:"name"`
	// System is user@host.
	System string `json:"system"`
	// NATSUser and NATSAccount are the server's words; empty where it does not
	// tell.
	NATSUser    string `json:"nats_user,omitempty"`
	NATSAccount string `json:"nats_account,omitempty"`
}

// Target is what was acted on: a lane, a job and the dead letter it was in, a run,
// or a subscription to the events.
type Target struct {
	Class       Class  `json:"class,omitempty"`
	Destination string `json:"destination,omitempty"`
	JobID       string `json:"job_id,omitempty"`
	// DeadLetter is a sequence of the stream of dead letters.
	DeadLetter uint64 `json:"dead_letter,omitempty"`
	Run        string `json:"run,omitempty"`
	// Subscription is the name of a durable consumer of the events.
	Subscription string `json:"subscription,omitempty"`
}

// Name is the target as CloudEvents' subject has it.
func (t Target) Name() string {
	switch {
	case t.JobID != "":
		return "job/" + t.JobID
	case t.Run != "":
		return "run/" + t.Run
	case t.Subscription != "":
		return "subscription/" + t.Subscription
	case t.DeadLetter != 0:
		return "dead/" + strconv.FormatUint(t.DeadLetter, 10)
	}
	return "lane/" + string(t.Class) + "/" + t.Destination
}

// Action is what an operator does.
type Action string

// The actions of operators. DeadShow is the reading of a job's content.
const (
	LanePause      Action = "lane-pause"
	LaneResume     Action = "lane-resume"
	LaneLimit      Action = "lane-limit"
	DeadReplay     Action = "dead-replay"
	DeadResolve    Action = "dead-resolve"
	DeadDrop       Action = "dead-drop"
	DeadShow       Action = "dead-show"
	BackfillRun    Action = "backfill-run"
	BackfillPause  Action = "backfill-pause"
	BackfillResume Action = "backfill-resume"
	BackfillCancel Action = "backfill-cancel"
	BackfillForget Action = "backfill-forget"

	EventsSubscribe   Action = "events-subscribe"
	EventsUnsubscribe Action = "events-unsubscribe"
)

// Stage is when a record was written.
type Stage string

const (
	// StageRequested is written before anything is done.
	StageRequested Stage = "requested"
	// StageDone and StageFailed are written after; of what failed, nobody may
	// know how far it came.
	StageDone   Stage = "done"
	StageFailed Stage = "failed"
)

// AuditType is the CloudEvents type of an action: chartpost.audit.<action>.v1.
func AuditType(action Action) string { return "chartpost.audit." + string(action) + ".v1" }

// AuditSubject is where records of an action are published.
func AuditSubject(prefix string, action Action) string { return prefix + ".audit." + string(action) }

// NewAudit makes the record of what data says, as the deployment of that prefix
// tells it at that time. number counts the actions of data.Command.
func NewAudit(prefix string, data AuditData, number int, at time.Time) Audit {
	return Audit{
		SpecVersion:     "1.0",
		Type:            AuditType(data.Action),
		Source:          "/chartpost/" + prefix,
		Subject:         data.Target.Name(),
		ID:              data.Command + "/" + strconv.Itoa(number) + "/" + string(data.Stage),
		Time:            at.UTC(),
		DataContentType: "application/json",
		Data:            data,
	}
}

// Encode gives the record's JSON without a newline. It fails only for times
// outside the years 0 to 9999.
func (a Audit) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a); err != nil {
		return nil, fmt.Errorf("encode audit record: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DecodeAudit reads a record as strictly as DecodeJob reads a job. The error is
// always an *Invalid, without JobID.
func DecodeAudit(data []byte) (Audit, error) {
	var record Audit
	if problems := decode(data, auditContract(), nil, &record); len(problems) > 0 {
		return Audit{}, invalid(problems)
	}
	return record, nil
}

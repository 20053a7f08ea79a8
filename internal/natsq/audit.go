package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// auditTime bounds the writing of one record: it outlasts an election.
const auditTime = 15 * time.Second

// ErrNoAudit is that of a record that is not written because there is no stream
// for it.
var ErrNoAudit = errors.New("the stream of the audit is missing")

// Audit stores the record of what an operator does. nil means that it is stored
// in the audit's own stream.
func (c *Conn) Audit(ctx context.Context, record schemas.Audit) error {
	data, err := record.Encode()
	if err == nil {
		_, err = schemas.DecodeAudit(data)
	}
	if err != nil {
		return fmt.Errorf("the audit record: %w", err)
	}
	msg := nats.NewMsg(schemas.AuditSubject(c.prefix, record.Data.Action))
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	if id := record.Data.Target.JobID; id != "" {
		msg.Header.Set(HeaderJobID, id)
	}
	msg.Data = data
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	final := func(err error) bool { return errors.Is(err, ErrNoAudit) || hopeless(err) }
	return retry.Do(ctx, final, func(ctx context.Context) error {
		began := time.Now()
		// Another stream that happens to take the subject is no audit.
		_, err := c.js.PublishMsg(ctx, msg, jetstream.WithMsgID(record.ID), jetstream.WithExpectStream(c.stream(audit)))
		if errors.Is(err, jetstream.ErrNoStreamResponse) && c.missing(ctx, audit) {
			err = ErrNoAudit
		}
		c.tried("publishing the audit", record.ID, began, err)
		return err
	})
}

// missing tells whether a stream is certainly not there.
func (c *Conn) missing(ctx context.Context, name string) bool {
	_, err := c.js.Stream(ctx, c.stream(name))
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// AuditRange is a part of the audit: from Since on, of one job and of one action
// where those are set.
type AuditRange struct {
	Since  time.Time
	JobID  string
	Action schemas.Action
}

// Audits calls each for the records of a range, the oldest first, until each
// returns false.
func (c *Conn) Audits(ctx context.Context, of AuditRange, each func(schemas.Audit) bool) error {
	filter := c.prefix + ".audit.*"
	if of.Action != "" {
		filter = schemas.AuditSubject(c.prefix, of.Action)
	}
	r := &reading{
		conn: c, stream: audit, what: "the audit", filters: []string{filter}, since: of.Since,
		each: func(msg jetstream.Msg, _ *jetstream.MsgMetadata) bool {
			if of.JobID != "" && msg.Headers().Get(HeaderJobID) != of.JobID {
				return true
			}
			record, err := schemas.DecodeAudit(msg.Data())
			if err != nil {
				c.log.Warn("an audit record that cannot be read was passed over", "subject", msg.Subject())
				return true
			}
			return each(record)
		},
	}
	err := r.run(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: %w", ErrNoAudit, err)
	}
	return err
}

// userTime is how long the server may take to say who we are.
const userTime = time.Second

// User is who this connection is to the server; empty where the server knows no
// users or does not tell. NATS: "User info", $SYS.REQ.USER.INFO, which every user
// may ask unless its permissions deny it.
func (c *Conn) User(ctx context.Context) (user, account string) {
	ctx, cancel := context.WithTimeout(ctx, userTime)
	defer cancel()
	reply, err := c.nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	if err != nil {
		return "", ""
	}
	var answer struct {
		Data struct {
			User    string `json:"user"`
			Account string `json:"account"`
		} `json:"data"`
	}
	if json.Unmarshal(reply.Data, &answer) != nil {
		return "", ""
	}
	return answer.Data.User, answer.Data.Account
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

const (
	mostReason = 200
	mostName   = 128
)

// auditFlags say who acts, and why. Whoever embeds them calls complete.
type auditFlags struct {
	Operator string `aliases:"by" placeholder:"NAME" help:"Who acts; empty is USER@HOST of this system." group:"Audit"`
	Reason   string `placeholder:"TEXT" help:"Why, in at most 200 characters that colleagues may read: no patients." group:"Audit" percall:""`
}

// complete fills in who acts and holds both to their bounds.
func (f *auditFlags) complete(needReason bool) error {
	if f.Operator == "" {
		f.Operator = systemUser()
	}
	var faults []error
	if !printable(f.Operator, mostName) {
		faults = append(faults, fmt.Errorf("--operator: must be a name of 1 to %d printable characters", mostName))
	}
	switch {
	case f.Reason == "" && !needReason:
	case f.Reason == "":
		faults = append(faults, fmt.Errorf("--reason: is required: 1 to %d printable characters", mostReason))
	case !printable(f.Reason, mostReason):
		faults = append(faults, fmt.Errorf("--reason: must have 1 to %d printable characters", mostReason))
	}
	return errors.Join(faults...)
}

// auditor writes down what one command does: a record before each action,
// without which the action is not begun, and one after it.
type auditor struct {
	queue  *natsq.Conn
	prefix string
	base   schemas.AuditData
	number int
}

// auditor begins the records of a command. parameters are its settings; none may
// hold patient data.
func (f auditFlags) auditor(ctx context.Context, queue *natsq.Conn, prefix string, action schemas.Action, parameters map[string]string) *auditor {
	user, account := queue.User(ctx)
	return &auditor{queue: queue, prefix: prefix, base: schemas.AuditData{
		Action: action, Command: rand.Text(), Reason: f.Reason, Parameters: parameters,
		Operator: schemas.Operator{Name: f.Operator, System: systemUser(), NATSUser: user, NATSAccount: account},
	}}
}

// entry is an action that was written down before it was done.
type entry struct {
	auditor *auditor
	data    schemas.AuditData
	number  int
}

// request writes down what is about to be done. Its error means that it must not
// be done.
func (a *auditor) request(ctx context.Context, target schemas.Target) (*entry, error) {
	a.number++
	e := &entry{auditor: a, data: a.base, number: a.number}
	e.data.Target = target
	if err := e.write(ctx, schemas.StageRequested, ""); err != nil {
		return nil, fmt.Errorf("nothing was done, because the audit record could not be written: %w\n%s", err, adviceAudit)
	}
	return e, nil
}

// end writes down what came of it, also where the command was interrupted, and
// joins its own failure to err.
func (e *entry) end(ctx context.Context, result string, err error) error {
	stage := schemas.StageDone
	if err != nil {
		stage, result = schemas.StageFailed, resultOf(err)
	}
	if failed := e.write(context.WithoutCancel(ctx), stage, result); failed != nil {
		return errors.Join(err, fmt.Errorf("the end of it could not be written to the audit: %w", failed))
	}
	return err
}

func (e *entry) write(ctx context.Context, stage schemas.Stage, result string) error {
	e.data.Stage, e.data.Result = stage, result
	return e.auditor.queue.Audit(ctx, schemas.NewAudit(e.auditor.prefix, e.data, e.number, time.Now()))
}

// resultOf names a failure; the words of others stay out of the audit.
func resultOf(err error) string {
	if refused, ok := errors.AsType[*deadletter.Refusal](err); ok {
		return "refused: " + refused.Code
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted; how far it came is not known"
	}
	return "failed; how far it came is not known"
}

// do does act between its two records. act's result is for the audit: words
// without patient data.
func (a *auditor) do(ctx context.Context, target schemas.Target, act func() (result string, err error)) error {
	e, err := a.request(ctx, target)
	if err != nil {
		return err
	}
	result, err := act()
	return e.end(ctx, result, err)
}

// printable tells whether text is one line of 1 to most characters.
func printable(text string, most int) bool {
	if n := utf8.RuneCountInString(text); n < 1 || n > most || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// systemUser is USER@HOST of this system. A container may have no name for its
// user: then it is the number.
func systemUser() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	text := []rune(name + "@" + host)
	return string(text[:min(len(text), mostName)])
}

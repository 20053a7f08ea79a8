// Package audit writes down what operators do: a record before each action, without
// which the action is not begun, and one after it.
package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/schemas"
)

// Log stores records.
type Log interface {
	Audit(ctx context.Context, record schemas.Audit) error
}

// Trail holds the records of one command. It is for one goroutine.
type Trail struct {
	// Advice is what a person can do where a record cannot be written; the error ends
	// with it.
	Advice string

	log    Log
	prefix string
	base   schemas.AuditData
	number int
}

// New begins the records of a command. base has all that its records have in common;
// none of it may hold patient data.
func New(log Log, prefix string, base schemas.AuditData) *Trail {
	return &Trail{log: log, prefix: prefix, base: base}
}

// Entry is an action that was written down before it was done.
type Entry struct {
	trail  *Trail
	data   schemas.AuditData
	number int
}

// Request writes down what is about to be done. Its error means that it must not
// be done.
func (t *Trail) Request(ctx context.Context, target schemas.Target) (*Entry, error) {
	t.number++
	e := &Entry{trail: t, data: t.base, number: t.number}
	e.data.Target = target
	if err := e.write(ctx, schemas.StageRequested, ""); err != nil {
		return nil, fmt.Errorf("nothing was done, because the audit record could not be written: %w\n%s", err, t.Advice)
	}
	return e, nil
}

// End writes down what came of it, also where the command was interrupted, and
// joins its own failure to err.
func (e *Entry) End(ctx context.Context, result string, err error) error {
	stage := schemas.StageDone
	if err != nil {
		stage, result = schemas.StageFailed, resultOf(err)
	}
	if failed := e.write(context.WithoutCancel(ctx), stage, result); failed != nil {
		return errors.Join(err, fmt.Errorf("the end of it could not be written to the audit: %w", failed))
	}
	return err
}

func (e *Entry) write(ctx context.Context, stage schemas.Stage, result string) error {
	e.data.Stage, e.data.Result = stage, result
	return e.trail.log.Audit(ctx, schemas.NewAudit(e.trail.prefix, e.data, e.number, time.Now()))
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

// Do does act between its two records. The result of act is for the audit: words
// without patient data.
func (t *Trail) Do(ctx context.Context, target schemas.Target, act func() (result string, err error)) error {
	e, err := t.Request(ctx, target)
	if err != nil {
		return err
	}
	result, err := act()
	return e.End(ctx, result, err)
}

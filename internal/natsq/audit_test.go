package natsq

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func (w *world) later(id string, data []byte, attempt int, at time.Time) {
	w.t.Helper()
	if err := w.Outbox().Later(w.t.Context(), worker.Schedule{Lane: lane1, JobID: id, Data: data, Attempt: attempt, At: at}); err != nil {
		w.t.Fatal(err)
	}
}

func auditOf(action schemas.Action, command, job string) schemas.Audit {
	return schemas.NewAudit("chartpost", schemas.AuditData{
		Action: action, Stage: schemas.StageRequested, Command: command, Operator: schemas.Operator{Name: "ann", System: "ann@ops"},
		Target: schemas.Target{Class: schemas.Live, Destination: "good-health", JobID: job},
	}, 1, time.Now())
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := time.Now()
	for _, a := range []schemas.Audit{
		auditOf(schemas.LanePause, "A", ""), auditOf(schemas.DeadDrop, "B", "j"), auditOf(schemas.DeadDrop, "B", "j"), auditOf(schemas.DeadReplay, "C", "k"),
	} {
		if err := w.Audit(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	w.send(&nats.Msg{Subject: "chartpost.audit.dead-drop", Data: []byte("canary, no record")})
	for name, c := range map[string]struct {
		of   AuditRange
		want string
	}{
		"all":    {AuditRange{Since: began.Add(-time.Minute)}, "A B C"},
		"job":    {AuditRange{JobID: "j"}, "B"},
		"action": {AuditRange{Action: schemas.LanePause}, "A"},
		"later":  {AuditRange{Since: time.Now().Add(time.Hour)}, ""},
	} {
		var got []string
		err := w.Audits(t.Context(), c.of, func(a schemas.Audit) bool { got = append(got, a.Data.Command); return true })
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v, want %s", name, got, err, c.want)
		}
	}
	bad := auditOf(schemas.DeadDrop, "not a command", "j")
	if err := w.Audit(t.Context(), bad); err == nil {
		t.Error("a record that breaks the schema was stored")
	}
	if said := w.said.String(); strings.Contains(said, "canary") {
		t.Error(said)
	}
	if user, account := w.User(t.Context()); account == "" && user != "" {
		t.Errorf("%q in %q", user, account)
	}
}

// TestNoAuditNoRecord: a stream of somebody else's that takes the subject is none.
func TestNoAuditNoRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.js.DeleteStream(t.Context(), w.stream(audit)); err != nil {
		t.Fatal(err)
	}
	if err := w.Audit(t.Context(), auditOf(schemas.DeadDrop, "A", "j")); !errors.Is(err, ErrNoAudit) {
		t.Errorf("%v, want ErrNoAudit", err)
	}
	if err := w.Audits(t.Context(), AuditRange{}, nil); !errors.Is(err, ErrNoAudit) {
		t.Errorf("%v, want ErrNoAudit", err)
	}
	if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"chartpost.audit.>"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Audit(t.Context(), auditOf(schemas.DeadDrop, "A", "j")); err == nil {
		t.Error("stored in a stream that is not the audit's")
	}
}

func TestAuditCannotBeTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Audit(t.Context(), auditOf(schemas.DeadDrop, "A", "j")); err != nil {
		t.Fatal(err)
	}
	s, err := w.js.Stream(t.Context(), w.stream(audit))
	if err != nil {
		t.Fatal(err)
	}
	if s.DeleteMsg(t.Context(), 1) == nil || s.Purge(t.Context()) == nil {
		t.Error("a record was removed")
	}
}

// TestUser asks a server that knows its users.
func TestUser(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	w := dial(t, "", stack.InProcess())
	if user, account := w.User(t.Context()); account != "$G" {
		t.Errorf("%q in %q, want the global account", user, account)
	}
}

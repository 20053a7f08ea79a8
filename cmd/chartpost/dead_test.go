package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestDeadResolve decides about jobs of unknown outcome as an operator does. Two of
// them have one id, at two destinations: no command guesses which is meant.
func TestDeadResolve(t *testing.T) {
	url := devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()
	command := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append(args, "--nats-url", url), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != want {
			t.Fatalf("%v: exit code %d\n%s", args, code, errs.String())
		}
		return out.String() + errs.String()
	}
	command(cli.ExitOK, "setup")
	queue, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lane := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	for _, key := range []schemas.JobKey{schemas.KeyOf(lane, "a"), schemas.KeyOf(lane, "b"), schemas.KeyOf(lane, "c"), {Destination: "clinic", ID: "c"}} {
		data := fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":"2099-01-01T00:00:00Z",
			"destination":{"slug":%q,"environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf"}],
			"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}}`, key.ID, key.Destination)
		sum := sha256.Sum256(data)
		reason := schemas.Reason{Kind: "unknown_outcome", Code: "no_answer"}
		record := job.Record{Phase: job.Held, Attempt: 1, Digest: hex.EncodeToString(sum[:]), Reason: &reason, UpdatedAt: time.Now()}
		if _, _, err := ledger.New(bucket, ledger.Patience).Open(t.Context(), key, record); err != nil {
			t.Fatal(err)
		}
		letter := worker.DeadLetter{Lane: schemas.Lane{Class: schemas.Live, Destination: key.Destination}, Data: data, Key: "dead/" + key.String(), JobID: key.ID, Status: schemas.StatusUnknown, Reason: reason}
		if err := queue.Outbox().Bury(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	if said := command(cli.ExitOK, "dead", "ls", "--list", "--status", "unknown"); strings.Count(said, "no_answer") != 4 || strings.Contains(said, "Zebedee") {
		t.Error(said)
	}
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{cli.ExitOK, "resolve a --resend --yes", "a: is on its way again; its dead letter is removed\n"},
		{cli.ExitNothing, "resolve a --resend --yes", "chartpost: job a: there is no dead letter of this job\n"},
		{cli.ExitOK, "resolve b --accepted --yes", "b: counts as accepted; its dead letter is removed\n"},
		{cli.ExitFailed, "resolve c --accepted --yes", "chartpost: job c: several destinations have a dead letter of this id; name one of clinic/c, good-health/c\n"},
		{cli.ExitFailed, "resolve c --resend --yes", "chartpost: job c: several destinations have a dead letter of this id; name one of clinic/c, good-health/c\n"},
		{cli.ExitFailed, "replay c --unknown --reason x --yes", "chartpost: job c: several destinations have a dead letter of this id; name one of clinic/c, good-health/c\n"},
		{cli.ExitFailed, "drop c --limit 1 --reason x --yes", "chartpost: job c: several destinations have a dead letter of this id; name one of clinic/c, good-health/c\n"},
		{cli.ExitFailed, "show c --show-content --reason x", "chartpost: job c: several destinations have a dead letter of this id; name one of clinic/c, good-health/c\n"},
		{cli.ExitOK, "replay c --unknown --destination clinic --dry-run", "c: would be resent\n"},
		{cli.ExitOK, "replay clinic/c --unknown --dry-run", "c: would be resent\n"},
		{cli.ExitOK, "resolve clinic/c --accepted --yes", "clinic/c: counts as accepted; its dead letter is removed\n"},
	} {
		if said := command(c.code, append([]string{"dead"}, strings.Fields(c.args)...)...); said != c.want {
			t.Errorf("%s: %s", c.args, said)
		}
	}
	// The stream of jobs takes it from that of due jobs by itself, a moment later.
	devtest.Until(t, "the lane holds the job that was sent again", time.Minute, func() bool {
		return strings.Contains(command(cli.ExitOK, "lane", "ls"), "good-health  1 ")
	})
	record, _, err := ledger.New(bucket, ledger.Patience).Find(t.Context(), schemas.KeyOf(lane, "b"))
	if err != nil || record.Phase != job.Accepted || !strings.HasPrefix(record.Owner, "operator ") {
		t.Errorf("%+v, %v", record, err)
	}
}

// TestNamedAndNotThere: whoever names five jobs and mistypes one is told so.
func TestNamedAndNotThere(t *testing.T) {
	o := newOffice(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		o.bury(id, never)
	}
	const missing = "nosuch: there is no such dead letter\n"
	if said := o.do(cli.ExitOK, "dead", "replay", "a", "nosuch", "--dry-run"); !strings.Contains(said, missing) || !strings.Contains(said, "a: would be resent") {
		t.Error(said)
	}
	if said := o.do(cli.ExitPartly, "dead", "replay", "a", "nosuch", "--yes"); !strings.Contains(said, missing) || !strings.Contains(said, "1 of 2 were refused") {
		t.Error(said)
	}
	if said := o.do(cli.ExitPartly, "dead", "drop", "b", "nosuch", "--sequence", "99", "--reason", "x", "--yes", "--json"); !strings.Contains(said, `{"job_id":"nosuch","refused":"none","text":"there is no such dead letter"}`) || !strings.Contains(said, `{"sequence":99,"refused":"none"`) {
		t.Error(said)
	}
	o.do(cli.ExitNothing, "dead", "drop", "nosuch", "--reason", "x", "--yes")
	o.do(cli.ExitNothing, "dead", "drop", "c", "--class", "backfill", "--reason", "x", "--yes")
	if said := o.do(cli.ExitOK, "dead", "drop", "c", "d", "--limit", "1", "--reason", "x", "--yes"); strings.Contains(said, "no such") {
		t.Error(said)
	}
	if jobs, dead := o.count("JOBS"), o.count("DEAD"); jobs != 1 || dead != 1 {
		t.Errorf("%d jobs, %d dead letters", jobs, dead)
	}
}

package natsq

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

func TestSetupCreatesOnceAndUpdates(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	w := dial(t, "", stack.InProcess())
	names := []string{"CHARTPOST_JOBS", "CHARTPOST_EVENTS", "CHARTPOST_DEAD", "CHARTPOST_AUDIT", "CHARTPOST_LEDGER", "CHARTPOST_CONTROL", "CHARTPOST_ENDED"}

	err := w.Verify(t.Context())
	if err == nil {
		t.Fatal("nothing is there, and Verify is content")
	}
	for _, name := range names {
		// Workers can do without the audit.
		if strings.Contains(err.Error(), name) == (name == "CHARTPOST_AUDIT") {
			t.Errorf("%s is missing; is it named rightly in: %v", name, err)
		}
	}

	larger := testLayout
	larger.EventsBytes, larger.EventsAge, larger.DeadAge, larger.AuditAge, larger.LedgerAge = 1<<20, 31*day, 91*day, 401*day, 15*day
	longer, shorter := testLayout, testLayout
	longer.LedgerOpenAge, shorter.LedgerOpenAge, shorter.LedgerAge = 100*day, 100*day, 13*day
	for _, step := range []struct {
		layout Layout
		did    []string
	}{
		{testLayout, []string{"created", "created", "created", "created", "created", "created", "created"}},
		{testLayout, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{larger, []string{"unchanged", "updated", "updated", "updated", "updated", "unchanged", "updated"}},
		{larger, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{testLayout, []string{"unchanged", "updated", "updated", "updated", "updated", "unchanged", "updated"}},
		{longer, []string{"unchanged", "unchanged", "unchanged", "unchanged", "updated", "unchanged", "unchanged"}},
		{longer, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{shorter, []string{"unchanged", "unchanged", "unchanged", "unchanged", "updated", "unchanged", "updated"}},
	} {
		changes, err := w.Setup(t.Context(), step.layout)
		if err != nil {
			t.Fatal(err)
		}
		for i, change := range changes {
			if change.Name != names[i] || change.Did != step.did[i] {
				t.Errorf("%+v, want %s %s", change, names[i], step.did[i])
			}
		}
		if len(changes) != len(names) {
			t.Errorf("%d changes, want %d", len(changes), len(names))
		}
	}
	if err := w.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.js.DeleteKeyValue(t.Context(), "CHARTPOST_CONTROL"); err != nil {
		t.Fatal(err)
	}
	if err := w.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "CHARTPOST_CONTROL") || strings.Contains(err.Error(), "JOBS") {
		t.Errorf("%v, want CONTROL alone named", err)
	}
}

func TestSetupPutsRightWhatAPersonChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := func() jetstream.StreamConfig {
		stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	for what, change := range map[string]func(*jetstream.StreamConfig){
		"a limit":          func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 },
		"no confirmations": func(c *jetstream.StreamConfig) { c.NoAck = true },
		"a copy elsewhere": func(c *jetstream.StreamConfig) { c.RePublish = &jetstream.RePublish{Destination: "copies.>"} },
	} {
		changed := config()
		change(&changed)
		if _, err := w.js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		changes, err := w.Setup(t.Context(), testLayout)
		if err != nil || changes[0].Did != "updated" || changes[1].Did != "unchanged" {
			t.Errorf("%s: %v, %v; want the jobs updated alone", what, changes, err)
		}
		if c := config(); c.MaxMsgs != -1 || c.NoAck || c.RePublish != nil {
			t.Errorf("%s: it stands: %+v", what, c)
		}
	}
}

func TestLayoutOnTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	configs := map[string]jetstream.StreamConfig{}
	for _, name := range slices.Concat(w.StreamNames(), []string{"CHARTPOST_AUDIT", "KV_CHARTPOST_LEDGER", "KV_CHARTPOST_CONTROL"}) {
		s, err := w.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		configs[name] = s.CachedInfo().Config
		if configs[name].Storage != jetstream.FileStorage {
			t.Errorf("%s is not kept in files", name)
		}
	}
	jobs := configs["CHARTPOST_JOBS"]
	if jobs.Retention != jetstream.WorkQueuePolicy || !jobs.AllowMsgSchedules || jobs.MaxAge != 0 || jobs.MaxBytes != -1 || jobs.MaxMsgs != -1 {
		t.Errorf("the jobs are no work queue with schedules that keeps everything: %+v", jobs)
	}
	if jobs.AllowDirect {
		t.Error("a lagging replica may say whether a copy is still there")
	}
	if !slices.Equal(jobs.Subjects, []string{"chartpost.jobs.live.*", "chartpost.jobs.backfill.*", "chartpost.later.*"}) {
		t.Errorf("subjects %v", jobs.Subjects)
	}
	for name, age := range map[string]time.Duration{
		"CHARTPOST_EVENTS": 30 * day, "CHARTPOST_DEAD": 90 * day, "CHARTPOST_AUDIT": 400 * day, "KV_CHARTPOST_LEDGER": 14 * day, "KV_CHARTPOST_CONTROL": 0,
		"CHARTPOST_ENDED": 14*day + time.Hour,
	} {
		if configs[name].MaxAge != age {
			t.Errorf("%s keeps for %s, want %s", name, configs[name].MaxAge, age)
		}
	}
	if c := configs["CHARTPOST_AUDIT"]; !c.DenyDelete || !c.DenyPurge || c.Retention != jetstream.LimitsPolicy || !slices.Equal(c.Subjects, []string{"chartpost.audit.*"}) {
		t.Errorf("the audit can be taken back, or is kept otherwise: %+v", c)
	}
	if c := configs["CHARTPOST_ENDED"]; c.AllowDirect || c.MaxMsgsPerSubject != 1 || c.MaxConsumers <= 0 || !c.DenyPurge {
		t.Errorf("a lagging replica may say what is in the ledger's archive, or it is kept otherwise: %+v", c)
	}
	for _, name := range w.StreamNames() {
		if name == "CHARTPOST_ENDED" {
			continue // nothing in it has an id
		}
		if configs[name].Duplicates != 10*time.Minute {
			t.Errorf("%s remembers ids for %s", name, configs[name].Duplicates)
		}
	}
}

func TestVerifyRefusesWhatCannotDeliver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.js.DeleteStream(t.Context(), "CHARTPOST_JOBS"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "CHARTPOST_JOBS", Subjects: []string{"chartpost.jobs.*.*"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "work queue") {
		t.Errorf("%v, want the jobs' stream refused", err)
	}
	if _, err := w.Setup(t.Context(), testLayout); err == nil {
		t.Error("a stream of another retention was taken for ours")
	}
}

func TestVerifyWantsRoomForAJobAndItsHeaders(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, MaxPayload: 1_000_000, LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	if err := w.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("%v, want max_payload named", err)
	}
}

func TestLedgerNeedsItsBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Ledger(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.js.DeleteKeyValue(t.Context(), "CHARTPOST_LEDGER"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Ledger(t.Context()); err == nil || !strings.Contains(err.Error(), "CHARTPOST_LEDGER") {
		t.Errorf("%v, want the bucket named", err)
	}
}

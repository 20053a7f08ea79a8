package natsq

import (
	"errors"
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
	names := []string{"CHARTPOST_DUE", "CHARTPOST_JOBS", "CHARTPOST_EVENTS", "CHARTPOST_DEAD", "CHARTPOST_AUDIT", "CHARTPOST_LEDGER", "CHARTPOST_CONTROL", "CHARTPOST_INTAKE", "CHARTPOST_ENDED", "CHARTPOST_INDEX"}

	err := w.Verify(t.Context())
	if err == nil {
		t.Fatal("nothing is there, and Verify is content")
	}
	for _, name := range names {
		// Workers can do without the audit, the claims of the intake, and the job index.
		if strings.Contains(err.Error(), name) == (name == "CHARTPOST_AUDIT" || name == "CHARTPOST_INTAKE" || name == "CHARTPOST_INDEX") {
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
		{testLayout, []string{"created", "created", "created", "created", "created", "created", "created", "created", "created", "created"}},
		{testLayout, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{larger, []string{"unchanged", "unchanged", "updated", "updated", "updated", "updated", "unchanged", "unchanged", "updated", "updated"}},
		{larger, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{testLayout, []string{"unchanged", "unchanged", "updated", "updated", "updated", "updated", "unchanged", "unchanged", "updated", "updated"}},
		{longer, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "updated", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{longer, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"}},
		{shorter, []string{"unchanged", "unchanged", "unchanged", "unchanged", "unchanged", "updated", "unchanged", "unchanged", "updated", "unchanged"}},
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
	w, _ := farWorld(t) // an embedded nats-server 2.15.2 races with itself here
	config := func() jetstream.StreamConfig {
		stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	for what, change := range map[string]func(*jetstream.StreamConfig){
		"an age":           func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute },
		"old ones dropped": func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 5 },
		"no confirmations": func(c *jetstream.StreamConfig) { c.NoAck = true },
		"a copy elsewhere": func(c *jetstream.StreamConfig) { c.RePublish = &jetstream.RePublish{Destination: "copies.>"} },
	} {
		changed := config()
		change(&changed)
		if _, err := w.js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		changes, err := w.Setup(t.Context(), testLayout)
		if err != nil || changes[1].Did != "updated" || len(changes[1].Fields) == 0 || changes[0].Did != "unchanged" || changes[2].Did != "unchanged" {
			t.Errorf("%s: %v, %v; want the jobs updated alone", what, changes, err)
		}
		if c := config(); losesMessages(c) || c.MaxAge != 0 || c.Duplicates != jobsWindow || c.Discard != jetstream.DiscardNew || c.NoAck || c.RePublish == nil || !c.RePublish.HeadersOnly {
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
	if jobs.Retention != jetstream.WorkQueuePolicy || jobs.AllowMsgSchedules || jobs.AllowRollup || !jobs.DenyPurge || jobs.MaxAge != 0 || jobs.MaxBytes != -1 || jobs.MaxMsgs != -1 {
		t.Errorf("the jobs are no plain work queue that keeps everything: %+v", jobs)
	}
	if due := configs["CHARTPOST_DUE"]; due.Retention != jetstream.WorkQueuePolicy || !due.AllowMsgSchedules || due.MaxAge != 0 || due.MaxBytes != -1 || due.MaxMsgs != -1 {
		t.Errorf("the due jobs are no work queue with schedules that keeps everything: %+v", due)
	}
	for name, config := range configs {
		if config.MaxConsumers <= 0 {
			t.Errorf("%s states no limit of consumers", name)
		}
	}
	if jobs.AllowDirect {
		t.Error("a lagging replica may say whether a copy is still there")
	}
	if !slices.Equal(jobs.Subjects, []string{"chartpost.jobs.live.*", "chartpost.jobs.backfill.*"}) {
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
		want := 10 * time.Minute
		if name == "CHARTPOST_ENDED" {
			continue // nothing in it has an id
		}
		if name == "CHARTPOST_JOBS" { // whose ids anybody can use up
			want = jobsWindow
		}
		if configs[name].Duplicates != want {
			t.Errorf("%s remembers ids for %s, want %s", name, configs[name].Duplicates, want)
		}
	}
}

// TestSetupLeavesWhatIsNotItsOwn: what an administrator has set beside the layout is
// there after an update, and a plan changes nothing.
func TestSetupLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	w, _ := farWorld(t) // an embedded nats-server 2.15.2 races with itself here
	stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
	must(t, err)
	changed := stream.CachedInfo().Config
	changed.Compression, changed.MaxBytes, changed.MaxMsgSize = jetstream.S2Compression, 1<<30, 1<<20
	changed.Metadata = map[string]string{"owner": "ops"}
	changed.Description, changed.Duplicates = "somebody's", time.Minute
	_, err = w.js.UpdateStream(t.Context(), changed)
	must(t, err)
	for _, dry := range []bool{true, false} {
		setup := w.Setup
		if dry {
			setup = w.PlanSetup
		}
		changes, err := setup(t.Context(), testLayout)
		must(t, err)
		if c := changes[1]; c.Did != "updated" || len(c.Fields) != 2 {
			t.Errorf("dry %t: %+v, want the description and the window", dry, c)
		}
		stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
		must(t, err)
		c := stream.CachedInfo().Config
		if c.Compression != jetstream.S2Compression || c.MaxBytes != 1<<30 || c.MaxMsgSize != 1<<20 || c.Metadata["owner"] != "ops" {
			t.Errorf("dry %t: an administrator's settings are gone: %+v", dry, c)
		}
		if (c.Description == "somebody's") != dry {
			t.Errorf("dry %t: the description is %q", dry, c.Description)
		}
	}
	must(t, w.Verify(t.Context()))
}

// TestAnOldLayoutIsRefused, by setup and by verify, in one line that says what to do.
func TestAnOldLayoutIsRefused(t *testing.T) {
	t.Parallel()
	w, _ := farWorld(t) // an embedded nats-server 2.15.2 races with itself here
	must(t, w.js.DeleteStream(t.Context(), "CHARTPOST_JOBS"))
	_, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "CHARTPOST_JOBS", Subjects: []string{"chartpost.jobs.live.*"}, Retention: jetstream.WorkQueuePolicy, AllowMsgSchedules: true, MaxConsumers: 10,
	})
	must(t, err)
	if err := w.Verify(t.Context()); !errors.Is(err, ErrOldLayout) {
		t.Errorf("verify: %v", err)
	}
	if changes, err := w.Setup(t.Context(), testLayout); !errors.Is(err, ErrOldLayout) || len(changes) != 0 || strings.Contains(err.Error(), "\n") {
		t.Errorf("setup: %v, %v", changes, err)
	}
}

// TestVerifyRefusesLimitsThatLoseJobs, each by itself.
func TestVerifyRefusesLimitsThatLoseJobs(t *testing.T) {
	t.Parallel()
	w, _ := farWorld(t) // an embedded nats-server 2.15.2 races with itself here
	for what, c := range map[string]struct {
		stream string
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"jobs that age":         {"CHARTPOST_JOBS", func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute }, "CHARTPOST_JOBS"},
		"old jobs dropped":      {"CHARTPOST_JOBS", func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardOld, 1<<30 }, "CHARTPOST_JOBS"},
		"one job per lane":      {"CHARTPOST_JOBS", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "CHARTPOST_JOBS"},
		"no source":             {"CHARTPOST_JOBS", func(c *jetstream.StreamConfig) { c.Sources = nil }, "CHARTPOST_DUE"},
		"no limit of consumers": {"CHARTPOST_JOBS", func(c *jetstream.StreamConfig) { c.MaxConsumers = -1 }, "consumers"},
		"schedules that age":    {"CHARTPOST_DUE", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "CHARTPOST_DUE"},
		"a limit of schedules":  {"CHARTPOST_DUE", func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 }, "CHARTPOST_DUE"},
		"old records dropped":   {"KV_CHARTPOST_LEDGER", func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 100 }, "bucket CHARTPOST_LEDGER"},
	} {
		stream, err := w.js.Stream(t.Context(), c.stream)
		must(t, err)
		before := stream.CachedInfo().Config
		changed := before
		c.change(&changed)
		if _, err := w.js.UpdateStream(t.Context(), changed); err != nil {
			t.Logf("%s: the server itself refuses it: %v", what, err)
			continue
		}
		if err := w.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := w.Setup(t.Context(), testLayout); err != nil {
			t.Errorf("%s: setup: %v", what, err)
		}
		if err := w.Verify(t.Context()); err != nil {
			t.Errorf("%s, after setup: %v", what, err)
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

package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// hostile is a submitter that may publish to the destination "own" and tries to harm
// the jobs of others.
const hostile = "hostile"

// hostileSite is a site that is set up, and whose settings have one more submitter, as
// docs/permissions.md says: an account of its own, and a user with a shorter list.
func hostileSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("nats")))
	file := filepath.Join(dir, "accounts.conf")
	text, err := os.ReadFile(file)
	must(t, err)
	begin, end := strings.Index(string(text), "  CHARTPOST_SUBMIT {"), strings.Index(string(text), "  # What a watcher sends")
	if begin < 0 || end < begin {
		t.Fatalf("%s has no account of a submitter", file)
	}
	own := strings.NewReplacer(
		"CHARTPOST_SUBMIT", "CHARTPOST_SUBMIT_HOSTILE", "$submitter_nkey", "$"+strings.ToUpper(hostile)+"_NKEY", "submitter.conf", hostile+".conf",
	).Replace(string(text)[begin:end])
	settings := strings.Replace(string(text)[:end]+own+string(text)[end:], "[CHARTPOST_SUBMIT]", "[CHARTPOST_SUBMIT, CHARTPOST_SUBMIT_HOSTILE]", 1)
	must(t, os.WriteFile(file, []byte(settings), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "roles", hostile+".conf"),
		[]byte(`publish { allow: ["chartpost.jobs.live.own", "chartpost.jobs.backfill.own"] }`+"\n"+`subscribe { allow: ["_INBOX.>"] }`), 0o600))
	if *replicas == 3 {
		return newClusterSite(t, dir, newIdentities(t, hostile))
	}
	s := newSiteOf(t, "chartpost", dir, newIdentities(t, hostile))
	s.as(operator, 0, "setup")
	return s
}

// attacks are headers that mean something to the server or to Chartpost. A message
// that has them is refused, or is a plain job of its own lane.
func attacks() map[string]nats.Header {
	const later, next = "chartpost.later.good-health.waiting", "chartpost.jobs.live.good-health"
	one := func(name string, values ...string) map[string]nats.Header {
		all := map[string]nats.Header{}
		for _, value := range values {
			all[name+": "+value] = nats.Header{name: {value}}
		}
		return all
	}
	all := map[string]nats.Header{
		"schedule of another's lane": {"Nats-Schedule": {"@at 2026-01-01T00:00:00Z"}, "Nats-Schedule-Target": {next}},
		"schedule every second":      {"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {next}, "Nats-Schedule-TTL": {"5m"}},
		"schedule of a source":       {"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Source": {next}, "Nats-Schedule-Target": {"chartpost.jobs.live.own"}},
		"end of a schedule":          {"Nats-Scheduler": {later}, "Nats-Schedule-Next": {"purge"}},
		"copy of a schedule":         {"Nats-Scheduler": {later}, "Chartpost-Attempt": {"9"}},
		"copy of a due job":          {"Nats-Stream-Source": {"CHARTPOST_DUE 1 chartpost.due.*.* chartpost.jobs.*.* " + next}, "Nats-Scheduler": {later}},
		"start of a batch":           {"Nats-Batch-Id": {"one"}, "Nats-Batch-Sequence": {"1"}},
		"a whole batch":              {"Nats-Batch-Id": {"two"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}},
		"a fast batch":               {"Nats-Fast-Batch-Id": {"three"}, "Nats-Batch-Sequence": {"1"}},
		"trace to another's lane":    {"Nats-Trace-Dest": {next}},
		"trace alone":                {"Nats-Trace-Dest": {next}, "Nats-Trace-Only": {"true"}},
		"trace to its own lane":      {"Nats-Trace-Dest": {"chartpost.jobs.live.own"}, "Nats-Trace-Only": {"true"}},
		"trace to the API":           {"Nats-Trace-Dest": {"$JS.API.STREAM.PURGE.CHARTPOST_JOBS"}},
		"trace of an account":        {"Nats-Trace-Dest": {next}, "Nats-Trace-Origin-Account": {"CHARTPOST"}, "Nats-Trace-Hop": {"1"}},
		"removal of a key":           {"KV-Operation": {"PURGE"}, "Nats-Marker-Reason": {"Purge"}},
		"headers of Chartpost": {
			"Chartpost-Attempt": {"9"}, "Chartpost-Job-Id": {"waiting"}, "Chartpost-Status": {"accepted"}, "Chartpost-Reason-Code": {"forged"},
			"Chartpost-Possible-Duplicate": {"true"}, "Chartpost-Backfill": {"run/1"}, "Chartpost-Replay-Id": {"one"},
			"Chartpost-Reason-Kind": {"forged"}, "Chartpost-Reason-Text": {"forged"}, "Chartpost-Reason-Path": {"forged"},
		},
		"headers of the server": {"Nats-Stream": {"CHARTPOST_DUE"}, "Nats-Subject": {next}, "Nats-Sequence": {"1"}, "Nats-Last-Sequence": {"0"}, "Status": {"404"}},
	}
	for _, more := range []map[string]nats.Header{
		one("Nats-Rollup", "all", "sub", "ALL"), one("nats-rollup", "all"), one("Nats-Scheduler", later), one("Nats-Schedule-Next", "purge"),
		one("Nats-Schedule", "@at 2026-01-01T00:00:00Z", "@every 1s"), one("Nats-Schedule-Target", next), one("Nats-Schedule-TTL", "1s"),
		one("Nats-TTL", "1s", "never"), one("Nats-Incr", "+1"), one("Nats-Batch-Id", "x"), one("Nats-Batch-Commit", "1"),
		one("Nats-Stream-Source", "CHARTPOST_DUE 1 > > "+next), one("Nats-Expected-Stream", "CHARTPOST_DUE"), one("Nats-Expected-Last-Sequence", "999999"),
		one("Nats-Expected-Last-Subject-Sequence", "999999"), one("Nats-Expected-Last-Subject-Sequence-Subject", next), one("Nats-Expected-Last-Msg-Id", "none"),
		one("Nats-Required-Api-Level", "99"), one("Nats-Trace-Only", "true"), one("Nats-Pending-Messages", "1"),
	} {
		maps.Copy(all, more)
	}
	return all
}

// mustRefuse reports whether a header would change what is stored beside its message.
func mustRefuse(header nats.Header) bool {
	for _, name := range []string{"Nats-Rollup", "Nats-Schedule", "Nats-Scheduler", "Nats-Schedule-Next", "Nats-TTL", "Nats-Incr", "Nats-Batch-Id", "Nats-Stream-Source"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}

// taken are the ids of messages that somebody might use for another's job.
func taken(destination, id string) []string {
	key := destination + "." + id
	return []string{
		id, key, destination + "/" + id, destination + "/" + id + "/1", destination + "/" + id + "/2", "live." + key, "live/" + destination + "/" + id,
		"chartpost.later." + key, "chartpost.due.live." + destination, "later/" + id + "/2", "resend/1/1", key + "/2",
	}
}

// TestAHostileSubmitterHarmsNoOther: a submitter that is given one destination tries all
// that its connection lets it send. It measures delays, and so runs alone.
func TestAHostileSubmitterHarmsNoOther(t *testing.T) {
	s := hostileSite(t)
	seen := s.watch()
	log, _ := s.work()
	second, _ := s.work()
	defer func() {
		if t.Failed() {
			t.Log(s.report(log), s.report(second), s.queued())
		}
	}()
	v := newVictims(s, seen)
	nc := s.connect(hostile, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	late := map[string]bool{}
	attack := func(id, reply string, header nats.Header) string {
		msg := &nats.Msg{Subject: "chartpost.jobs.live.own", Reply: reply, Data: v.job(id, "own"), Header: header}
		if reply != "" {
			must(t, nc.PublishMsg(msg))
			return ""
		}
		answer, err := nc.RequestMsg(msg, 2*time.Second)
		if err != nil {
			return err.Error()
		}
		return string(answer.Data)
	}
	// One job waits for its next attempt, and one in a lane that is paused.
	must(t, s.sim.Inject(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "waits"}, Action: redoxsim.AnswerStatus, Status: 503, Times: 16,
	}))
	s.as(operator, 0, "lane", "pause", "live", "paused", "--for", "1h", "--reason", "tried")
	for _, destination := range []string{"waits", "paused"} {
		v.publish("shared-"+destination, destination)
		late[destination+"/shared-"+destination] = true
	}
	s.await(seen, "shared-waits", schemas.StatusRetrying)

	t.Run("headers", func(t *testing.T) {
		v.during("headers", known, func() {
			n := 0
			for name, header := range attacks() {
				if *replicas > 1 && header.Get("Nats-Expected-Last-Msg-Id") != "" {
					continue // it stops such a stream for good, as docs/permissions.md says
				}
				n++
				answer := attack(fmt.Sprintf("header-%d", n), "", header)
				if stored := strings.Contains(answer, `"seq":`) && !strings.Contains(answer, `"error"`); stored && mustRefuse(header) {
					t.Errorf("%s: it was stored: %s", name, answer)
				}
			}
		})
	})
	t.Run("ids of messages", func(t *testing.T) {
		for _, id := range slices.Concat(taken("good-health", "squatted"), taken("waits", "shared-waits")) {
			attack("squatter", "", nats.Header{"Nats-Msg-Id": {id}})
		}
		v.publish("squatted", "good-health")
		v.await("good-health", "squatted")
	})
	t.Run("ids of jobs", func(t *testing.T) {
		attack("shared-before", "", nil)
		v.publish("shared-before", "good-health")
		v.await("good-health", "shared-before")
		for _, id := range []string{"shared-before", "shared-waits", "shared-paused", "stored"} {
			if answer := attack(id, "", nil); !strings.Contains(answer, `"seq":`) {
				t.Errorf("its own job %s was not stored: %s", id, answer)
			}
			v.await("own", id)
			// And on its own lane a job that says that it is another's.
			_, err := nc.Request("chartpost.jobs.live.own", v.job(id, "good-health"), 2*time.Second)
			must(t, err)
		}
	})
	t.Run("replies", func(t *testing.T) {
		v.during("replies", known, func() {
			for i, reply := range slices.Repeat([]string{
				"$JS.API.STREAM.PURGE.CHARTPOST_JOBS", "$JS.API.STREAM.DELETE.CHARTPOST_JOBS", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_JOBS",
				"$JS.API.CONSUMER.DELETE.CHARTPOST_JOBS.live-good-health", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health",
				"$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0",
				"chartpost.lanes", "chartpost.new.live.good-health", "chartpost.jobs.live.good-health", "chartpost.due.live.good-health",
				"chartpost.later.waits.shared-waits", "$KV.CHARTPOST_CONTROL.tenure", "$KV.CHARTPOST_CONTROL.lane.live.good-health",
				"$KV.CHARTPOST_LEDGER.good-health.stored", "_INBOX.>", "$SYS.REQ.SERVER.PING", "_R_.one", "_INBOX.*.*", ">",
			}, 20) {
				attack(fmt.Sprintf("reply-%d", i), reply, nil)
			}
			must(t, nc.Flush())
		})
	})
	s.as(operator, 0, "lane", "resume", "live", "paused")
	v.await("paused", "shared-paused")
	v.await("waits", "shared-waits")
	v.unharmed(late, mostDelay)
}

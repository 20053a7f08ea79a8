package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// hostile is a submitter that may publish to the destination "own" and tries to harm
// the jobs of others.
const hostile = "hostile"

// mostDelay is how much later a job may be accepted because of somebody else.
const mostDelay = 5 * time.Second

// hostileSite is a site that is set up, and whose settings have one more user, given its destinations as
// docs/permissions.md says: a line in users with a shorter list.
func hostileSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("nats")))
	file := filepath.Join(dir, "accounts.conf")
	text, err := os.ReadFile(file)
	must(t, err)
	const line = `{ nkey: $submitter_nkey, permissions: { include "roles/submitter.conf" } }`
	if strings.Count(string(text), line) != 1 {
		t.Fatalf("%s has no line\n%s", file, line)
	}
	more := line + "\n" + strings.NewReplacer("$submitter_nkey", "$"+strings.ToUpper(hostile)+"_NKEY", "submitter.conf", hostile+".conf").Replace(line)
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), line, more, 1)), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "roles", hostile+".conf"),
		[]byte(`publish { allow: ["chartpost.jobs.live.own", "chartpost.jobs.backfill.own"] }`+"\n"+`subscribe { allow: ["_INBOX.>"] }`), 0o600))
	if *replicas == 3 {
		return newClusterSite(t, dir, newIdentities(t, hostile))
	}
	s := newSiteOf(t, "chartpost", dir, newIdentities(t, hostile))
	s.as(operator, 0, "setup")
	return s
}

// victims are jobs of another submitter, published all the time.
type victims struct {
	s    *site
	seen *seen
	js   jetstream.JetStream
	key  string

	mu sync.Mutex
	// published is when each was confirmed.
	published map[string]time.Time
	// slowest is the longest time until a publish was confirmed. It is the disk's: the
	// server syncs each message, and a flood stands before it.
	slowest time.Duration
}

// newVictims stores the file that the jobs name.
func newVictims(s *site, seen *seen) *victims {
	s.t.Helper()
	const key = "outbox/hostile.pdf"
	s.send("stored", "good-health", "--key", key)
	s.await(seen, "stored", schemas.StatusAccepted)
	return &victims{s: s, seen: seen, js: s.stream(submitter), key: key, published: map[string]time.Time{}}
}

// job is a job for a destination.
func (v *victims) job(id, destination string) []byte {
	v.s.t.Helper()
	data, err := json.Marshal(map[string]any{
		"id": id, "operation": "documentreference-create",
		"destination":  map[string]any{"slug": destination, "environment": "Development"},
		"files":        []any{map[string]any{"bucket": testBucket, "key": v.key, "content_type": "application/pdf"}},
		"message":      map[string]any{"patient": json.RawMessage(samples.Patient()), "resource": map[string]any{"resourceType": "DocumentReference", "status": "current"}},
		"requested_at": time.Now().UTC().Format(time.RFC3339),
	})
	must(v.s.t, err)
	return data
}

// publish publishes a victim's job for a destination.
func (v *victims) publish(id, destination string) {
	v.s.t.Helper()
	must(v.s.t, v.submit(id, destination))
}

func (v *victims) submit(id, destination string) error {
	data := v.job(id, destination)
	v.mu.Lock()
	v.published[destination+"/"+id] = time.Now()
	v.mu.Unlock()
	began := time.Now()
	_, err := v.js.Publish(v.s.t.Context(), "chartpost.jobs.live."+destination, data)
	v.mu.Lock()
	v.slowest = max(v.slowest, time.Since(began))
	v.published[destination+"/"+id] = time.Now()
	v.mu.Unlock()
	return err
}

// await waits until a job of a destination is accepted.
func (v *victims) await(destination, id string) {
	v.s.t.Helper()
	devtest.Until(v.s.t, destination+"/"+id+" is accepted", patience, func() bool {
		return slices.ContainsFunc(v.seen.of(destination, id), func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	})
}

// during publishes jobs for as long as something goes on, each after the one before
// was accepted. Its jobs are looked at by unharmed.
func (v *victims) during(name string, destination func(n int) string, do func()) {
	v.s.t.Helper()
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { v.repeat(name, over, destination) })
	defer all.Wait()
	defer close(over)
	do()
}

// victimsPause leaves the servers to the flood between two jobs of others.
const victimsPause = 50 * time.Millisecond

// known is a destination of which jobs were accepted before.
func known(int) string { return "good-health" }

func (v *victims) repeat(name string, over <-chan struct{}, destination func(n int) string) {
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		if err := v.submit(id, destination(n)); err != nil {
			v.s.t.Errorf("publishing %s: %v", id, err)
			return
		}
		for more := v.seen.more(); !v.seen.has(id, schemas.StatusAccepted); more = v.seen.more() {
			select {
			case <-more:
			case <-time.After(patience):
				v.s.t.Errorf("%s is not accepted", id)
				return
			}
		}
		select {
		case <-over:
			return
		case <-time.After(victimsPause):
		}
	}
}

// unharmed compares what became of the victims' jobs with what should have.
func (v *victims) unharmed(late map[string]bool, most time.Duration) {
	v.s.t.Helper()
	took := map[string]int{}
	for _, m := range v.s.sim.Messages() {
		took[m.Destination+" "+m.DocumentID]++
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	longest := time.Duration(0)
	for key, at := range v.published {
		destination, id, _ := strings.Cut(key, "/")
		accepted := time.Time{}
		for _, e := range v.seen.of(destination, id) {
			switch status := e.Data.Status; {
			case e.Data.PossibleDuplicate:
				v.s.t.Errorf("%s: the event %s says that it may have been sent twice", key, e.ID)
			case status == schemas.StatusAccepted && accepted.IsZero():
				accepted = e.Time
			case status == schemas.StatusRetrying && late[key]:
			case status != schemas.StatusUploaded:
				v.s.t.Errorf("%s: an event says %s: %+v", key, e.ID, e.Data.Reason)
			}
		}
		if delay := accepted.Sub(at); accepted.IsZero() || !late[key] && delay > most {
			v.s.t.Errorf("%s was accepted after %v", key, delay)
		} else if !late[key] {
			longest = max(longest, delay)
		}
	}
	for document, n := range took {
		if n != 1 {
			v.s.t.Errorf("%s was sent %d times", document, n)
		}
	}
	v.s.t.Logf("%d jobs of others, %d messages, the longest delay %v, that of a publish %v", len(v.published), len(took), longest, v.slowest)
}

// of are the events of one job.
func (e *seen) of(destination, id string) []schemas.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []schemas.Event
	for _, x := range e.all {
		if x.Data.JobID == id && x.Data.Destination == destination {
			all = append(all, x)
		}
	}
	return all
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
			for i, reply := range []string{
				"$JS.API.STREAM.PURGE.CHARTPOST_JOBS", "$JS.API.STREAM.DELETE.CHARTPOST_JOBS", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_JOBS",
				"$JS.API.CONSUMER.DELETE.CHARTPOST_JOBS.live-good-health", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health",
				"$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0",
				"chartpost.lanes", "chartpost.new.live.good-health", "chartpost.jobs.live.good-health", "chartpost.due.live.good-health",
				"chartpost.later.waits.shared-waits", "$KV.CHARTPOST_CONTROL.tenure", "$KV.CHARTPOST_CONTROL.lane.live.good-health",
				"$KV.CHARTPOST_LEDGER.good-health.stored", "_INBOX.>", "$SYS.REQ.SERVER.PING", "_R_.one",
			} {
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

// flood is how many subjects a flood has.
const flood = 3000

// TestOthersWaitFiveSecondsForAFloodAtMost: many jobs at once, from a submitter
// that is given one destination to that, and from one that is given all of them to 3,000
// subjects that are no destination's, and to 3,000 destinations that Chartpost has never
// seen. Jobs of others go to a destination of which one job was accepted before, and,
// once the flood is stored, to destinations that Chartpost has never seen either.
//
// It measures delays, and so runs alone.
func TestOthersWaitFiveSecondsForAFloodAtMost(t *testing.T) {
	s := hostileSite(t)
	seen := s.watch()
	log, _ := s.work()
	defer func() {
		if t.Failed() {
			t.Log(s.report(log))
		}
	}()
	v := newVictims(s, seen)
	for _, c := range []struct {
		name, role string
		jobs       int
		subject    func(n int) string
	}{
		{"one", hostile, flood / 5, func(int) string { return "own" }},
		{"misaddressed", submitter, flood, func(n int) string { return fmt.Sprintf("no_such_%d", n) }},
		{"lanes", submitter, flood, func(n int) string { return fmt.Sprintf("unknown-%d", n) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			js := s.stream(c.role)
			began := time.Now()
			v.during(c.name, known, func() {
				for n := range c.jobs {
					subject := c.subject(n)
					_, err := js.PublishAsync("chartpost.jobs.live."+subject, v.job(fmt.Sprintf("flood-%s-%d", c.name, n), strings.ReplaceAll(subject, "_", "-")))
					must(t, err)
				}
				<-js.PublishAsyncComplete()
				unseen := func(n int) string { return fmt.Sprintf("%s-new-%d", c.name, n) }
				v.during(c.name+"-new", unseen, func() {
					devtest.Until(t, "the flood has ended", 2*patience, func() bool { return seen.ended("flood-"+c.name) == c.jobs })
				})
			})
			t.Logf("the flood took %v", time.Since(began))
			v.unharmed(nil, mostDelay)
		})
	}
}

// ended counts the jobs that have ended, by the start of their ids.
func (e *seen) ended(prefix string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := map[string]bool{}
	for _, x := range e.all {
		if strings.HasPrefix(x.Data.JobID, prefix) && x.Data.Status.Final() {
			ids[x.Data.JobID] = true
		}
	}
	return len(ids)
}

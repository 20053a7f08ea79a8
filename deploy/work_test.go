package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// TestRolesDoTheirWork lets every role do all of its work against a real server
// that runs the files of nats/, and holds the files to what was done: nothing
// was refused, and nothing is allowed that nobody needed.
func TestRolesDoTheirWork(t *testing.T) {
	t.Run("as the files are", func(t *testing.T) {
		t.Parallel()
		newSite(t, "chartpost", "nats").doAll("$JS.ACK.*.*.")
	})
	// NATS: "JetStream wire API"; the newer form of acknowledgements names the
	// domain and the account too.
	t.Run("another prefix, and acknowledgements of the newer form", func(t *testing.T) {
		t.Parallel()
		dir := settingsFor(t, "trial-2")
		text, err := os.ReadFile(filepath.Join(dir, "nats.conf"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "nats.conf"), append(text, "\nfeature_flags { js_ack_fc_v2: true }\n"...), 0o600))
		newSite(t, "trial-2", dir).doAll("$JS.ACK.TRIAL-2_")
	})
}

func (s *site) doAll(unused string) {
	s.t.Helper()
	s.as(operator, 0, "setup")
	s.as(operator, 0, "setup") // the audit, which is there, needs no change
	s.as(operator, 0, "setup", "--lease", "30s", "--events-age", "721h", "--dead-age", "2161h", "--ledger-age", "337h")
	s.as(worker, 0, "check")
	seen := s.watch()
	log, stop := s.work()
	second, stopSecond := s.work() // which finds what the first has written
	defer func() {
		if s.t.Failed() {
			s.t.Log(s.report(log), s.report(second))
		}
	}()
	s.deliver(seen)
	s.breakLane(seen)
	s.holdLane(seen)
	s.resolve(seen)
	s.backfill()
	s.take(seen)
	s.consume(seen)
	s.outcomes()
	s.rarely()
	s.look()
	s.index()
	stop()
	stopSecond()
	s.as(operator, 0, "setup", "--lease", "30s")
	if refused := s.nats.violations(); len(refused) > 0 {
		s.t.Errorf("the server refused what a role needs:\n%s", strings.Join(refused, "\n"))
	}
	if strings.Contains(log.String(), "ermission") {
		s.t.Errorf("the worker's log speaks of permissions:\n%s", log.Tail())
	}
	s.everythingWasUsed(unused)
}

// seen are the events that a watcher has seen.
type seen struct {
	mu   sync.Mutex
	all  []schemas.Event
	core []string
	// live are the ids of the events that were heard as they were published.
	live map[string]bool
	// stop ends the following.
	stop func()
	// came is closed at the next event.
	came chan struct{}
}

// more is closed when there is another event.
func (e *seen) more() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.came
}

func (e *seen) hear(event schemas.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live[event.ID] = true
	return true
}

func (e *seen) add(event schemas.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	close(e.came)
	e.came = make(chan struct{})
	return true
}

func (e *seen) has(id string, status schemas.Status) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(x schemas.Event) bool { return x.Data.JobID == id && x.Data.Status == status })
}

// subscription is the one that roles/watcher.conf names.
const subscription = "outcomes"

// watch follows the events as a watcher, in all ways there are: from a subscription,
// as they are published, and by a plain client.
func (s *site) watch() *seen {
	s.t.Helper()
	s.as(operator, 0, "events", "subscribe", subscription)
	e := &seen{live: map[string]bool{}, came: make(chan struct{})}
	queue, err := app.Queue(s.natsAs(watcher), "test", new(devtest.Log).Logger())
	must(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 2)
	go func() { ended <- queue.ReadSubscription(ctx, subscription, e.add) }()
	go func() {
		ended <- queue.WatchLive(ctx, natsq.EventSelection{}, func() error { close(started); return nil }, e.hear)
	}()
	select {
	case <-started:
	case err := <-ended:
		s.t.Fatalf("the watcher: %v\n%v", err, s.nats.violations())
	}
	e.stop = sync.OnceFunc(func() {
		cancel()
		must(s.t, errors.Join(<-ended, <-ended))
		queue.Close()
	})
	s.t.Cleanup(e.stop)
	plain := s.connect(watcher)
	_, err = plain.Subscribe(s.prefix+".events.>", func(msg *nats.Msg) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.core = append(e.core, msg.Subject)
	})
	must(s.t, err)
	must(s.t, plain.Flush())
	return e
}

// connect is a plain client with the rights of a role.
func (s *site) connect(role string, options ...nats.Option) *nats.Conn {
	s.t.Helper()
	key, err := nats.NkeyOptionFromSeed(s.ids[role].seedFile)
	must(s.t, err)
	nc, err := nats.Connect(s.nats.url, append(options, key, nats.Timeout(patience))...)
	must(s.t, err)
	s.t.Cleanup(nc.Close)
	return nc
}

// await waits until the watcher has seen an event.
func (s *site) await(e *seen, id string, status schemas.Status) {
	s.t.Helper()
	devtest.Until(s.t, id+" is "+string(status), patience, func() bool { return e.has(id, status) })
}

// deliver: jobs that are accepted, fail, and wait for their next attempt.
func (s *site) deliver(e *seen) {
	s.t.Helper()
	must(s.t, s.sim.Inject(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "busy"}, Action: redoxsim.AnswerStatus, Status: 503, Times: 16,
	}))
	s.send("embedded", "good-health", "--transfer", "embed")
	s.send("uploaded", "good-health", "--transfer", "upload", "--class", "backfill")
	s.send("passing", "busy")
	s.as(submitter, 0, "send", "--wait", "0", "--id", "missing", "--to", "good-health", "--patient", "patient.json", "--file", "s3://"+testBucket+"/outbox/none.pdf")
	s.await(e, "embedded", schemas.StatusAccepted)
	s.await(e, "uploaded", schemas.StatusUploaded)
	s.await(e, "uploaded", schemas.StatusAccepted)
	s.await(e, "missing", schemas.StatusFailed)
	s.await(e, "passing", schemas.StatusRetrying)
	s.await(e, "passing", schemas.StatusAccepted)
	// The copy is known from the ledger.
	s.send("embedded-2", "good-health", "--transfer", "embed")
	s.await(e, "embedded-2", schemas.StatusAccepted)
	devtest.Until(s.t, "those who listen hear it", patience, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.live["good-health/embedded/1/accepted"] && slices.Contains(e.core, s.prefix+".events.live.good-health.accepted")
	})
}

// breakLane: a destination that fails opens its lane's breaker; an operator
// sees it and closes it.
func (s *site) breakLane(e *seen) {
	s.t.Helper()
	must(s.t, s.sim.Inject(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "broken"}, Action: redoxsim.AnswerStatus, Status: 503,
	}))
	for n := range 4 {
		s.send(fmt.Sprintf("broken-%d", n), "broken")
	}
	devtest.Until(s.t, "the lane is broken", patience, func() bool {
		out := s.as(operator, 0, "lane", "ls", "--json")
		return strings.Contains(out, `"broken"`) && strings.Contains(out, `"breaker"`)
	})
	s.sim.ClearFaults()
	s.as(operator, 0, "lane", "resume", "live", "broken")
	for n := range 4 {
		s.await(e, fmt.Sprintf("broken-%d", n), schemas.StatusAccepted)
	}
}

// holdLane: an operator pauses a lane and limits it.
func (s *site) holdLane(e *seen) {
	s.t.Helper()
	s.as(operator, 0, "lane", "limit", "both", "good-health", "3")
	s.as(operator, 0, "lane", "pause", "live", "good-health", "--for", "1h", "--reason", "tried")
	s.send("held", "good-health")
	if out := s.as(operator, 0, "lane", "ls"); !strings.Contains(out, "paused") {
		s.t.Errorf("the lane is not paused:\n%s", out)
	}
	s.as(operator, 0, "lane", "pause", "--all", "--for", "1h", "--reason", "tried")
	if out := s.as(operator, 0, "top", "--once"); !strings.Contains(out, "All lanes are paused") || strings.Contains(out, "Workers: not known") || strings.Contains(out, "none is alive") {
		s.t.Errorf("the overview of an operator:\n%s", out)
	}
	s.as(operator, 0, "lane", "resume", "--all")
	s.as(operator, 0, "lane", "resume", "live", "good-health")
	s.as(operator, 0, "lane", "limit", "both", "good-health", "none")
	s.await(e, "held", schemas.StatusAccepted)
	// An operator may send what is there, and follow it.
	s.send("first", "good-health", "--key", "outbox/archive.pdf")
	s.as(operator, 0, "send", "--id", "followed", "--to", "good-health", "--patient", "patient.json", "--file", "s3://"+testBucket+"/outbox/archive.pdf")
}

// resolve: an operator decides about jobs of unknown outcome.
func (s *site) resolve(e *seen) {
	s.t.Helper()
	must(s.t, s.sim.Inject(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "lost"}, Action: redoxsim.CutAfterProcessing, Times: 2,
	}))
	s.send("lost-1", "lost")
	s.await(e, "lost-1", schemas.StatusUnknown)
	s.send("lost-2", "lost")
	s.await(e, "lost-2", schemas.StatusUnknown)
	devtest.Until(s.t, "the dead letters are there", patience, func() bool {
		out := s.as(operator, 0, "dead", "ls", "--status", "unknown")
		return strings.Contains(out, "lost-1") && strings.Contains(out, "lost-2")
	})
	s.as(operator, 0, "dead", "resolve", "lost-1", "--resend", "--reason", "tried", "--yes")
	s.await(e, "lost-1", schemas.StatusAccepted)
	s.as(operator, 0, "dead", "resolve", "lost-2", "--accepted", "--reason", "tried", "--yes")
	s.await(e, "lost-2", schemas.StatusAccepted)
	s.as(operator, 0, "dead", "show", "missing", "--show-content", "--reason", "tried")
	s.send("stored", "good-health", "--key", "outbox/none.pdf")
	s.as(operator, 0, "dead", "replay", "missing", "--reason", "tried", "--yes")
	s.await(e, "missing", schemas.StatusAccepted)
	s.as(submitter, 0, "send", "--wait", "0", "--id", "unwanted", "--to", "good-health", "--patient", "patient.json", "--file", "s3://"+testBucket+"/outbox/other.pdf")
	s.await(e, "unwanted", schemas.StatusFailed)
	devtest.Until(s.t, "its dead letter is there", patience, func() bool { return strings.Contains(s.as(operator, 0, "dead", "ls"), "unwanted") })
	s.as(operator, 0, "dead", "drop", "unwanted", "--reason", "tried", "--yes")
}

const manifestOf = `id,to
1,good-health
2,good-health
3,elsewhere
`

const templateOf = `id: "arch-{{ .id }}"
operation: documentreference-create
destination: {slug: "{{ .to }}", environment: Development}
files: [{bucket: reports, key: outbox/archive.pdf, content_type: application/pdf}]
message:
  patient: {resourceType: Patient, identifier: [{system: "urn:oid:1.2", value: "{{ .id }}"}], name: [{family: Sample}], gender: other, birthDate: "1970-01-01"}
  resource: {resourceType: DocumentReference, status: current}
`

// backfill: an operator delivers an archive and accounts for it.
func (s *site) backfill() {
	s.t.Helper()
	write := func(name, text string) { must(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600)) }
	write("archive.csv", manifestOf)
	write("archive.yaml", templateOf)
	s.as(operator, 0, "backfill", "plan", "archive.csv", "--template", "archive.yaml", "--list", "s3://"+testBucket+"/outbox/")
	s.as(operator, 0, "backfill", "run", "archive.csv", "--template", "archive.yaml", "--id", "first")
	s.as(operator, 0, "backfill", "report", "first", "archive.csv", "--template", "archive.yaml", "--out", "report.csv")
	s.as(operator, 0, "backfill", "status")
	var status struct{ State string }
	must(s.t, json.Unmarshal([]byte(s.as(operator, 0, "backfill", "status", "first", "--json")), &status))
	s.as(operator, 0, "backfill", "run", "archive.csv", "--template", "archive.yaml", "--id", "second", "--no-follow")
	s.as(operator, 0, "backfill", "run", "archive.csv", "--template", "archive.yaml", "--id", "second")
	s.as(operator, 0, "backfill", "pause", "second")
	s.as(operator, 0, "backfill", "resume", "second")
	s.as(operator, 0, "backfill", "cancel", "second", "--reason", "tried", "--yes")
}

// consume: an operator makes a subscription again, and a program of somebody's own
// reads from it by the library's own ways.
func (s *site) consume(e *seen) {
	s.t.Helper()
	e.stop()
	s.as(operator, 0, "events", "unsubscribe", subscription, "--yes", "--reason", "tried")
	s.as(operator, 0, "events", "subscribe", subscription, "--status", "accepted,failed", "--since", "1h")
	js, err := jetstream.New(s.connect(watcher))
	must(s.t, err)
	consumer, err := js.Consumer(s.t.Context(), strings.ToUpper(s.prefix)+"_EVENTS", subscription)
	must(s.t, err)
	messages, err := consumer.Fetch(3)
	must(s.t, err)
	n := 0
	for msg := range messages.Messages() {
		must(s.t, msg.DoubleAck(s.t.Context()))
		n++
	}
	info, err := consumer.Info(s.t.Context())
	must(s.t, err)
	if must(s.t, messages.Error()); n != 3 || info.AckFloor.Consumer != 3 {
		s.t.Errorf("%d events came and %d are acknowledged, want 3", n, info.AckFloor.Consumer)
	}
	if out := s.as(operator, 0, "events", "subscriptions", "--json"); !strings.Contains(out, `"subscription":"outcomes"`) {
		s.t.Errorf("the subscription is not listed:\n%s", out)
	}
}

// look: what an operator and a watcher find out.
func (s *site) look() {
	s.t.Helper()
	for _, one := range []struct{ role, says, command string }{
		{operator, "accepted", "status embedded"},
		{operator, "nobody", "status nobody"},
		{operator, s.ids[operator].public, "audit ls --json"},
		{operator, "embedded", "events export"},
		{operator, "embedded", "events export --status accepted,failed --since 1h --format csv"},
		{operator, "events-subscribe", "audit ls --action events-subscribe"},
	} {
		code := 0
		if one.says == "nobody" {
			code = 5
		}
		if out := s.as(one.role, code, strings.Fields(one.command)...); code == 0 && !strings.Contains(out, one.says) {
			s.t.Errorf("%s: %s: it does not say %q:\n%s", one.role, one.command, one.says, out)
		}
	}
}

// index: a worker builds a segment of the job index, and an operator asks it.
func (s *site) index() {
	s.t.Helper()
	js, err := jetstream.New(s.connect(worker))
	must(s.t, err)
	for i := range jobindex.MostEvents {
		d := schemas.EventData{JobID: fmt.Sprint("indexed-", i), Class: schemas.Live, Destination: "good-health", Status: schemas.StatusUploaded, Correlation: map[string]string{"order": fmt.Sprint(i)}}
		e := schemas.NewEvent(s.prefix, d, time.Now())
		data, err := e.Encode()
		must(s.t, err)
		_, err = js.PublishAsync(schemas.EventSubject(s.prefix, e.Lane(), d.Status), data, jetstream.WithStallWait(patience))
		must(s.t, err)
	}
	<-js.PublishAsyncComplete()
	queue, err := app.Queue(s.natsAs(worker), "index", (&devtest.Log{}).Logger())
	must(s.t, err)
	defer queue.Close()
	for range 2 { // one builds, the next sees what was built
		_, err = queue.Index().Build(s.t.Context(), func() bool { return true })
		must(s.t, err)
	}
	if out := s.as(operator, 0, "jobs", "ls", "--correlation", "order=7", "--json"); !strings.Contains(out, `"job_id":"indexed-7"`) {
		s.t.Errorf("the job is not listed:\n%s", out)
	}
}

// rarely: requests that are made only where a server was killed at the wrong
// moment, where what is listed is removed meanwhile, where setup changes a stream
// in what would change the audit too, or once an hour to move records of the
// ledger into its archive.
func (s *site) rarely() {
	s.t.Helper()
	upper := strings.ToUpper(s.prefix)
	for _, one := range []struct{ role, subject, body string }{
		{worker, "$JS.API.STREAM.MSG.GET." + upper + "_JOBS", `{"seq":1,"next_by_subj":"` + s.prefix + `.jobs.live.good-health"}`},
		{worker, "$JS.API.STREAM.MSG.DELETE." + upper + "_JOBS", `{"seq":999999}`},
		{worker, "$JS.API.STREAM.MSG.GET." + upper + "_DUE", `{"seq":1,"next_by_subj":"` + s.prefix + `.later.*.*"}`},
		{worker, "$JS.API.CONSUMER.INFO." + upper + "_JOBS.live-nobody", ""},
		{worker, "$JS.API.CONSUMER.DELETE." + upper + "_JOBS.live-nobody", ""},
		{worker, "$JS.API.STREAM.MSG.GET.KV_" + upper + "_CONTROL", `{"last_by_subj":"$KV.` + upper + `_CONTROL.fleet"}`},
		{worker, "$JS.API.DIRECT.GET.KV_" + upper + "_CONTROL.$KV." + upper + "_CONTROL.fleet", ""},
		{worker, "$KV." + upper + "_CONTROL.unserved", ""},
		{worker, "$JS.API.CONSUMER.INFO.KV_" + upper + "_CONTROL.one", ""},
		{worker, "$JS.API.CONSUMER.INFO." + upper + "_INDEX.one", ""},
		{operator, "$JS.API.CONSUMER.INFO." + upper + "_INDEX.one", ""},
		{worker, s.prefix + ".ended.chunk.0.0", ""},
		{worker, s.prefix + ".ended.page.x", ""},
		{worker, "$JS.API.DIRECT.GET.KV_" + upper + "_LEDGER", `{"seq":1}`},
		{worker, "$JS.API.STREAM.MSG.DELETE.KV_" + upper + "_LEDGER", `{"seq":999999}`},
		{operator, "$JS.API.STREAM.MSG.GET." + upper + "_JOBS", `{"seq":1,"next_by_subj":"` + s.prefix + `.jobs.backfill.>"}`},
		{operator, "$JS.API.STREAM.MSG.GET." + upper + "_DUE", `{"seq":1,"next_by_subj":"` + s.prefix + `.due.backfill.*"}`},
		{operator, "$JS.API.STREAM.UPDATE." + upper + "_DUE", "{}"},
		{operator, s.prefix + ".later.good-health.nobody", ""},
		{operator, "$JS.API.STREAM.UPDATE." + upper + "_JOBS", "{}"},
		{operator, "$JS.API.STREAM.UPDATE.KV_" + upper + "_CONTROL", "{}"},
		{operator, "$JS.API.STREAM.UPDATE.KV_" + upper + "_INTAKE", "{}"},
		{taker, "$JS.API.CONSUMER.INFO." + upper + "_EVENTS.one", ""},
		{operator, "$JS.API.CONSUMER.INFO." + upper + "_AUDIT.one", ""},
		{operator, "$JS.API.CONSUMER.INFO.KV_" + upper + "_CONTROL.one", ""},
		{operator, "$JS.API.CONSUMER.INFO." + upper + "_DEAD.one", ""},
		{operator, "$JS.API.CONSUMER.INFO." + upper + "_EVENTS.one", ""},
		{operator, "$JS.API.STREAM.MSG.GET.KV_" + upper + "_LEDGER", `{"last_by_subj":"$KV.` + upper + `_LEDGER.good-health.one"}`},
		{operator, "$JS.API.CONSUMER.INFO.KV_" + upper + "_OUTCOMES.one", ""},
		{operator, "$JS.API.STREAM.UPDATE.KV_" + upper + "_OUTCOMES", "{}"},
		{follower, "$JS.API.CONSUMER.INFO.KV_" + upper + "_OUTCOMES.one", ""},
		{follower, "$JS.API.STREAM.MSG.GET." + upper + "_ENDED", `{"last_by_subj":"` + s.prefix + `.ended.page.1"}`},
		{follower, "$JS.API.CONSUMER.INFO." + upper + "_EVENTS.one", ""},
		{follower, "$JS.API.CONSUMER.INFO." + upper + "_DEAD.one", ""},
		{follower, s.prefix + ".events.live.nobody.filtered", ""},
		{follower, s.prefix + ".events.live.nobody.undelivered", ""},
		{follower, s.prefix + ".events.live.nobody.stalled", ""},
		{follower, s.prefix + ".events.live.nobody.unconfirmed", ""},
	} {
		if _, err := s.connect(one.role).Request(one.subject, []byte(one.body), patience); err != nil {
			s.t.Errorf("%s: %s: %v", one.role, one.subject, err)
		}
	}
}

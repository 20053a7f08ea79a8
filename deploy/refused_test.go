package deploy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// refusals are what a role must not do, one by one.
var refusals = []struct {
	role string
	// verb is pub or sub.
	verb    string
	subject string
}{
	// A worker makes and changes no stream, and empties none.
	{worker, "pub", "$JS.API.STREAM.CREATE.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.STREAM.CREATE.CHARTPOST_DUE"},
	{worker, "pub", "$JS.API.STREAM.CREATE.OTHER"},
	{worker, "pub", "$JS.API.STREAM.UPDATE.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.STREAM.UPDATE.CHARTPOST_DUE"},
	{worker, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_DUE"},
	{worker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_DUE"},
	{worker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_EVENTS"},
	{worker, "pub", "$JS.API.STREAM.SNAPSHOT.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.STREAM.NAMES"},
	{worker, "pub", "$JS.API.STREAM.LIST"},
	{worker, "pub", "$JS.API.STREAM.INFO.OTHER"},
	{worker, "pub", "$JS.API.INFO"},
	{worker, "pub", "$JS.API.ACCOUNT.PURGE.CHARTPOST"},
	// It publishes no job, reads no dead letter and makes no consumer of events, and
	// removes neither.
	{worker, "pub", "chartpost.jobs.live.good-health"},
	{worker, "pub", "chartpost.jobs.backfill.good-health"},
	{worker, "pub", "chartpost.due.live.good-health"},
	{worker, "pub", "chartpost.due.backfill.good-health"},
	{worker, "pub", "chartpost.later.good-health"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS.one.chartpost.events.>"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_DEAD.one.chartpost.dead.>"},
	{worker, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_EVENTS.archive"},
	{worker, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_DEAD"},
	{worker, "pub", "$JS.API.DIRECT.GET.CHARTPOST_DEAD.chartpost.dead.live.good-health"},
	{worker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_DEAD"},
	{worker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_EVENTS"},
	{worker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_DUE"},
	{worker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_ENDED"},
	{worker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_ENDED"},
	{worker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_INDEX"},
	{worker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_INDEX"},
	{worker, "pub", "$JS.API.DIRECT.GET.CHARTPOST_INDEX"},
	{worker, "pub", "$JS.API.STREAM.UPDATE.CHARTPOST_INDEX"},
	{worker, "pub", "$JS.API.STREAM.PURGE.KV_CHARTPOST_LEDGER"},
	{worker, "sub", "chartpost.jobs.>"},
	{worker, "sub", "chartpost.later.>"},
	{worker, "sub", "chartpost.due.>"},
	{worker, "sub", "chartpost.dead.>"},
	{worker, "sub", "chartpost.events.>"},
	{worker, "sub", "$KV.CHARTPOST_LEDGER.>"},
	{worker, "sub", "$JS.API.>"},
	{worker, "sub", ">"},
	// It follows no ledger, and makes no consumer without a filter or of schedules.
	{worker, "pub", "$JS.API.CONSUMER.CREATE.KV_CHARTPOST_LEDGER.one.$KV.CHARTPOST_LEDGER.>"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_ENDED.one.chartpost.ended.>"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.later.*.*"},
	{worker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_DUE.one.chartpost.later.good-health.one"},
	{worker, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_DUE.one"},
	{worker, "pub", "$JS.API.CONSUMER.DURABLE.CREATE.CHARTPOST_JOBS.one"},
	{worker, "pub", "$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health"},
	{worker, "pub", "$KV.CHARTPOST_CONTROL.orphans"},
	{worker, "pub", "chartpost.new.live.good-health"},
	{worker, "pub", "$JS.API.CONSUMER.DELETE.CHARTPOST_EVENTS.archive"},
	{worker, "pub", "$JS.API.CONSUMER.LIST.CHARTPOST_EVENTS"},
	// Of the control bucket it writes what is its own.
	{worker, "pub", "$KV.CHARTPOST_CONTROL.backfill.first"},
	{worker, "pub", "$KV.CHARTPOST_CONTROL.other"},
	{worker, "pub", "$KV.OTHER.key"},
	{worker, "pub", "chartpost.audit.lane-paused"},
	{worker, "pub", "$SYS.REQ.SERVER.PING"},

	// A submitter publishes jobs. It reads nothing and asks nothing.
	{submitter, "pub", "chartpost.later.good-health.one"},
	{submitter, "pub", "chartpost.due.live.good-health"},
	{submitter, "pub", "chartpost.due.backfill.good-health"},
	{submitter, "pub", "chartpost.new.live.good-health"},
	{submitter, "pub", "chartpost.lanes"},
	{submitter, "sub", "chartpost.new.>"},
	{submitter, "sub", "chartpost.lanes"},
	{submitter, "pub", "$JS.API.STREAM.INFO.CHARTPOST_DUE"},
	{submitter, "pub", "chartpost.jobs.other.good-health"},
	{submitter, "pub", "chartpost.events.live.good-health.accepted"},
	{submitter, "pub", "chartpost.dead.live.good-health"},
	{submitter, "pub", "chartpost.audit.lane-paused"},
	{submitter, "pub", "$JS.API.INFO"},
	{submitter, "pub", "$JS.API.STREAM.NAMES"},
	{submitter, "pub", "$JS.API.STREAM.INFO.CHARTPOST_JOBS"},
	{submitter, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_JOBS"},
	{submitter, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_JOBS"},
	{submitter, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{submitter, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS.one.chartpost.events.>"},
	{submitter, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"},
	{submitter, "pub", "chartpost.index.segment"},
	{submitter, "pub", "$JS.API.DIRECT.GET.CHARTPOST_EVENTS"},
	{submitter, "pub", "$JS.API.DIRECT.GET.CHARTPOST_INDEX"},
	{submitter, "pub", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0"},
	{submitter, "pub", "$JS.API.DIRECT.GET.KV_CHARTPOST_LEDGER.$KV.CHARTPOST_LEDGER.good-health.one"},
	{submitter, "pub", "$KV.CHARTPOST_LEDGER.good-health.one"},
	{submitter, "pub", "$KV.CHARTPOST_CONTROL.lane.live.good-health"},
	{submitter, "sub", "chartpost.jobs.>"},
	{submitter, "sub", "chartpost.events.>"},
	{submitter, "sub", "$JS.>"},
	{submitter, "sub", ">"},

	// A watcher reads events from one subscription and writes nothing. It makes and
	// removes no consumer, whatever its name, filter or form.
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_EVENTS.one.chartpost.events.>"},
	{watcher, "pub", "$JS.API.CONSUMER.DURABLE.CREATE.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.DELETE.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.PAUSE.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.RESET.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.UNPIN.CHARTPOST_EVENTS.outcomes"},
	{watcher, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_EVENTS.another"},
	{watcher, "pub", "$JS.API.CONSUMER.INFO.CHARTPOST_EVENTS.another"},
	{watcher, "pub", "$JS.ACK.CHARTPOST_EVENTS.another.1.1.1.1.0"},
	{watcher, "pub", "$JS.API.STREAM.INFO.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.DIRECT.GET.CHARTPOST_EVENTS.chartpost.events.live.good-health.accepted"},
	{watcher, "pub", "$JS.API.DIRECT.GET.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.DIRECT.GET.CHARTPOST_INDEX"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_INDEX.one"},
	{watcher, "pub", "chartpost.index.segment"},
	{watcher, "sub", "chartpost.lanes"},
	{watcher, "pub", "chartpost.jobs.live.good-health"},
	{watcher, "pub", "chartpost.due.live.good-health"},
	{watcher, "pub", "chartpost.later.good-health.one"},
	{watcher, "pub", "chartpost.lanes"},
	{watcher, "sub", "chartpost.new.>"},
	{watcher, "pub", "chartpost.events.live.good-health.accepted"},
	{watcher, "pub", "chartpost.dead.live.good-health"},
	{watcher, "pub", "chartpost.audit.lane-paused"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_AUDIT.one"},
	{watcher, "pub", "$JS.API.INFO"},
	{watcher, "pub", "$JS.API.STREAM.NAMES"},
	{watcher, "pub", "$JS.API.STREAM.INFO.CHARTPOST_JOBS"},
	{watcher, "pub", "$JS.API.STREAM.UPDATE.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_JOBS"},
	{watcher, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_DEAD"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{watcher, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_DEAD.one.chartpost.dead.>"},
	{watcher, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"},
	{watcher, "pub", "$JS.API.CONSUMER.LIST.CHARTPOST_EVENTS"},
	{watcher, "pub", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0"},
	{watcher, "pub", "$JS.API.DIRECT.GET.KV_CHARTPOST_LEDGER.$KV.CHARTPOST_LEDGER.good-health.one"},
	{watcher, "pub", "$KV.CHARTPOST_CONTROL.lane.live.good-health"},
	{watcher, "sub", "chartpost.jobs.>"},
	{watcher, "sub", "chartpost.dead.>"},
	{watcher, "sub", "chartpost.>"},
	{watcher, "sub", "$KV.>"},
	{watcher, "sub", ">"},

	// An operator takes no job out of a lane, buries none, and removes no stream
	// and nothing but dead letters.
	{operator, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_JOBS"},
	{operator, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_DEAD"},
	{operator, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_JOBS"},
	{operator, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_DEAD"},
	{operator, "pub", "$JS.API.STREAM.PURGE.KV_CHARTPOST_LEDGER"},
	{operator, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_AUDIT"},
	{operator, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_AUDIT"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_AUDIT"},
	{operator, "pub", "$JS.API.STREAM.UPDATE.CHARTPOST_AUDIT"},
	{operator, "pub", "$JS.API.STREAM.CREATE.OTHER"},
	{operator, "pub", "$JS.API.STREAM.UPDATE.OTHER"},
	{operator, "pub", "$JS.API.STREAM.RESTORE.CHARTPOST_JOBS"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_JOBS"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_EVENTS"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_INDEX"},
	{operator, "pub", "chartpost.index.segment"},
	{operator, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"},
	{operator, "pub", "$JS.API.CONSUMER.DELETE.CHARTPOST_JOBS.live-good-health"},
	{operator, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{operator, "pub", "$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health"},
	{operator, "pub", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0"},
	{operator, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{operator, "pub", "$JS.API.CONSUMER.PAUSE.CHARTPOST_JOBS.live-good-health"},
	{operator, "pub", "$KV.CHARTPOST_CONTROL.tenure"},
	{operator, "pub", "$KV.CHARTPOST_CONTROL.unserved"},
	{operator, "pub", "$KV.CHARTPOST_CONTROL.worker.one"},
	{operator, "pub", "$KV.CHARTPOST_CONTROL.budget.one"},
	{operator, "pub", "chartpost.lanes"},
	{operator, "sub", "chartpost.lanes"},
	{operator, "pub", "chartpost.new.live.good-health"},
	{operator, "sub", "chartpost.new.>"},
	{operator, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_DUE"},
	{operator, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_DUE"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_DUE"},
	{operator, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_DUE.one.chartpost.later.good-health.one"},
	{operator, "pub", "chartpost.dead.live.good-health"},
	{operator, "pub", "$KV.OTHER.key"},
	{operator, "pub", "$SYS.REQ.SERVER.PING"},
	{operator, "sub", "chartpost.jobs.>"},
	{operator, "sub", ">"},
	// An intake takes no job, makes no stream, and writes nothing that workers believe.
	{taker, "pub", "chartpost.due.live.good-health"},
	{taker, "pub", "chartpost.later.good-health.one"},
	{taker, "pub", "chartpost.events.live.good-health.accepted"},
	{taker, "pub", "chartpost.dead.live.good-health"},
	{taker, "pub", "chartpost.audit.lane-pause"},
	{taker, "pub", "chartpost.lanes"},
	{taker, "pub", "chartpost.submit.live.good-health"},
	{taker, "pub", "$KV.CHARTPOST_LEDGER.good-health.one"},
	{taker, "pub", "$KV.CHARTPOST_CONTROL.lane.live.good-health"},
	{taker, "pub", "$JS.API.STREAM.CREATE.CHARTPOST_JOBS"},
	{taker, "pub", "$JS.API.STREAM.UPDATE.KV_CHARTPOST_INTAKE"},
	{taker, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_JOBS"},
	{taker, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_JOBS"},
	{taker, "pub", "$JS.API.STREAM.MSG.GET.CHARTPOST_DEAD"},
	{taker, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{taker, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"},
	{taker, "pub", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0"},
	{taker, "pub", "_INBOX.another.one"},
	{taker, "sub", "chartpost.jobs.>"},
	{taker, "sub", "chartpost.new.>"},
	{taker, "sub", ">"},
	// A caller has the subject of the intake, and nothing else.
	{caller, "pub", "chartpost.submit.other.good-health"},
	{caller, "pub", "chartpost.submit.live.good-health.more"},
	{caller, "pub", "chartpost.submit.live"},
	{caller, "pub", "chartpost.jobs.live.good-health"},
	{caller, "pub", "chartpost.due.live.good-health"},
	{caller, "pub", "chartpost.events.live.good-health.accepted"},
	{caller, "pub", "$SRV.PING"},
	{caller, "pub", "$JS.API.INFO"},
	{caller, "pub", "$JS.API.STREAM.INFO.CHARTPOST_JOBS"},
	{caller, "pub", "$JS.API.STREAM.MSG.GET.KV_CHARTPOST_INTAKE"},
	{caller, "pub", "$KV.CHARTPOST_INTAKE.good-health.one"},
	{caller, "pub", "_INBOX.another.one"},
	{caller, "pub", "_R_.one"},
	{caller, "sub", "chartpost.submit.>"},
	{caller, "sub", "chartpost.events.>"},
	{caller, "sub", "_R_.>"},
	{caller, "sub", ">"},
	{operator, "pub", "$KV.CHARTPOST_OUTCOMES.cursor"},
	{operator, "pub", "$JS.API.STREAM.MSG.DELETE.KV_CHARTPOST_OUTCOMES"},

	// A follower takes no job, makes and removes no stream, and tells nothing but
	// outcomes, and that a held job was accepted.
	{follower, "pub", "chartpost.jobs.live.good-health"},
	{follower, "pub", "chartpost.later.good-health.one"},
	{follower, "pub", "chartpost.dead.live.good-health"},
	{follower, "pub", "chartpost.audit.lane-paused"},
	{follower, "pub", "chartpost.events.live.good-health.failed"},
	{follower, "pub", "chartpost.events.live.good-health.unknown"},
	{follower, "pub", "chartpost.lanes"},
	{follower, "pub", "$JS.API.STREAM.CREATE.KV_CHARTPOST_OUTCOMES"},
	{follower, "pub", "$JS.API.STREAM.UPDATE.KV_CHARTPOST_OUTCOMES"},
	{follower, "pub", "$JS.API.STREAM.DELETE.CHARTPOST_EVENTS"},
	{follower, "pub", "$JS.API.STREAM.PURGE.CHARTPOST_EVENTS"},
	{follower, "pub", "$JS.API.STREAM.MSG.DELETE.CHARTPOST_EVENTS"},
	{follower, "pub", "$JS.API.STREAM.MSG.DELETE.KV_CHARTPOST_LEDGER"},
	{follower, "pub", "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live-good-health"},
	{follower, "pub", "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS.one.chartpost.jobs.live.good-health"},
	{follower, "pub", "$JS.ACK.CHARTPOST_JOBS.live-good-health.1.1.1.1.0"},
	{follower, "pub", "$KV.CHARTPOST_CONTROL.lane.live.good-health"},
	{follower, "pub", "$KV.CHARTPOST_CONTROL.tenure"},
	{follower, "sub", "chartpost.jobs.>"},
	{follower, "sub", ">"},
}

// TestRolesAreRefusedTheRest tries each of the refusals on a server that has the
// streams, so that nothing is refused for want of them.
func TestRolesAreRefusedTheRest(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	tried := map[string]int{}
	clients := map[string]*intruder{}
	for _, role := range roles {
		clients[role] = s.intruder(role)
	}
	for _, one := range refusals {
		tried[one.role]++
		t.Run(one.role+" "+one.verb+" "+one.subject, func(t *testing.T) { clients[one.role].try(t, one.verb, one.subject) })
	}
	for _, role := range roles {
		if tried[role] < 15 {
			t.Errorf("only %d refusals of %s are tried", tried[role], role)
		}
	}
	if nc, err := nats.Connect(s.nats.url); err == nil {
		nc.Close()
		t.Error("a client without a key is let in")
	}
}

// intruder is a client that does what it must not.
type intruder struct {
	nc   *nats.Conn
	told chan error
}

func (s *site) intruder(role string) *intruder {
	s.t.Helper()
	told := make(chan error, 8)
	return &intruder{s.connect(role, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err })), told}
}

// after is a subject that nobody may publish to: the server answers in order,
// so that its refusal ends what it has to say of what came before.
const after = "nobody.may"

func (c *intruder) try(t *testing.T, verb, subject string) {
	t.Helper()
	if verb == "sub" {
		_, err := c.nc.Subscribe(subject, func(*nats.Msg) {})
		must(t, err)
	} else {
		must(t, c.nc.PublishRequest(subject, c.nc.NewInbox(), nil))
	}
	must(t, c.nc.Publish(after, nil))
	refused := false
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case err := <-c.told:
			switch {
			case !errors.Is(err, nats.ErrPermissionViolation):
				t.Fatalf("it was told %v", err)
			case strings.Contains(err.Error(), `"`+subject+`"`):
				refused = true
			case strings.Contains(err.Error(), `"`+after+`"`):
				if !refused {
					t.Error("it is allowed")
				}
				return
			}
		case <-timeout.C:
			t.Fatal("the server says nothing")
		}
	}
}

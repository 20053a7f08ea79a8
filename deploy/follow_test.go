package deploy

import (
	"context"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
)

// outcomes: an operator makes the bucket, and a follower says what became of messages.
// Of two jobs whose answer was lost it finds one in Redox's logs, and sends the other
// again.
func (s *site) outcomes() {
	s.t.Helper()
	s.as(operator, 0, "outcome", "setup")
	taken, lost := "taken-by-redox", "lost-on-the-way"
	for destination, action := range map[string]redoxsim.Action{taken: redoxsim.CutAfterProcessing, lost: redoxsim.CutAfterBody} {
		must(s.t, s.sim.Inject(redoxsim.Fault{
			Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: destination}, Action: action, Times: 1,
		}))
		s.send(destination, destination)
	}
	held := func(id string) bool {
		return strings.Contains(s.as(operator, 0, "dead", "ls", "--json"), `"job_id":"`+id+`"`)
	}
	devtest.Until(s.t, "both jobs are held", patience, func() bool { return held(taken) && held(lost) })
	stop := s.follow()
	devtest.Until(s.t, "both jobs are settled", patience, func() bool { return !held(taken) && !held(lost) })
	says := func(command, text string) bool {
		return strings.Contains(s.as(operator, 0, strings.Fields(command)...), text)
	}
	devtest.Until(s.t, "one of them is listed", patience, func() bool { return says("outcome ls", taken) })
	devtest.Until(s.t, "it is delivered", patience, func() bool { return says("status "+taken, "delivered") })
	devtest.Until(s.t, "the other is accepted", patience, func() bool { return says("status "+lost, "accepted") })
	if !says("outcome lanes", "DESTINATION IN LOGS") {
		s.t.Errorf("the commands do not show the outcomes:\n%s", s.as(operator, 0, "outcome", "lanes"))
	}
	stop()
}

// follow runs a follower until stop is called.
func (s *site) follow() (stop func()) {
	s.t.Helper()
	settings := app.FollowSettings{
		NATS: s.natsAs(follower), Redox: s.redox, Outcome: s.logs, SourceIsOurs: true, OnUnknown: app.OnUnknownEvidence,
		Budget: app.Budget{Requests: 100_000, Window: 10 * time.Second, Scope: "test"},
		Times: outcome.Times{
			Tick: 50 * time.Millisecond, Exceptions: 200 * time.Millisecond, Full: 200 * time.Millisecond,
			Before: time.Second, After: time.Second, Settle: time.Millisecond, Again: 50 * time.Millisecond, LookLongest: time.Second,
		},
	}
	settings.Outcome.Destinations = map[string]string{}
	for _, destination := range []string{"taken-by-redox", "lost-on-the-way"} {
		settings.Outcome.Destinations[destination] = platform.DestinationID(destination)
	}
	log := &devtest.Log{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.RunFollower(ctx, settings, log.Logger(), func() {}) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the follower: %v\n%s\n%s", err, log.Tail(), strings.Join(s.nats.violations(), "\n"))
		}
		ended <- nil
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(log.Tail())
		}
		stop()
	})
	return stop
}

package deploy

import (
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// TestNobodyOverhearsJobs: jobs reach a worker on a subject that begins with
// _INBOX, to which every role may subscribe. The accounts keep them apart.
func TestNobodyOverhearsJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	var mu sync.Mutex
	heard := map[string][]string{}
	listen := func(role string) *nats.Conn {
		nc := s.connect(role)
		_, err := nc.Subscribe("_INBOX.>", func(msg *nats.Msg) {
			mu.Lock()
			defer mu.Unlock()
			heard[role] = append(heard[role], msg.Subject+" "+string(msg.Data))
		})
		must(t, err)
		must(t, nc.Flush())
		return nc
	}
	conns := []*nats.Conn{listen(submitter), listen(watcher), listen(operator)}
	e := s.watch()
	_, stop := s.work()
	defer stop()
	s.send("private", "good-health")
	s.await(e, "private", schemas.StatusAccepted)
	for _, nc := range conns {
		must(t, nc.Flush())
	}
	// A word of the job: the patient's identifier.
	const word = "SAMPLE-0001"
	if !strings.Contains(string(samples.Patient()), word) {
		t.Fatal("the sample patient has another identifier")
	}
	has := func(role string) bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(heard[role], "\n"), word)
	}
	// Else this test proves nothing: operators may read jobs, and do hear them.
	devtest.Until(t, "the operator overhears the job", patience, func() bool { return has(operator) })
	if has(submitter) || has(watcher) {
		t.Errorf("a job was overheard: by the submitter %t, by the watcher %t", has(submitter), has(watcher))
	}
}

// TestWhatPermissionsCannotHold pins what docs/permissions.md says of submitters:
// NATS looks at subjects, not at headers.
func TestWhatPermissionsCannotHold(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	view := s.stream(operator)
	const own = "chartpost.jobs.live.own"
	jobs := func(subject string) uint64 {
		stream, err := view.Stream(t.Context(), "CHARTPOST_JOBS")
		must(t, err)
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subject))
		must(t, err)
		return info.State.Subjects[subject]
	}
	publish := func(role, subject string, header nats.Header) {
		t.Helper()
		_, err := s.stream(role).PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("{}"), Header: header})
		must(t, err)
	}
	schedule := func(target string) nats.Header {
		return nats.Header{jetstream.ScheduleHeader: {"@at 2099-01-01T00:00:00Z"}, jetstream.ScheduleTargetHeader: {target}}
	}
	t.Run("a submitter empties a lane of his own, and reaches another", func(t *testing.T) {
		for range 3 {
			publish(submitter, own, nil)
		}
		if n := jobs(own); n != 3 {
			t.Fatalf("%d jobs wait, want 3", n)
		}
		publish(submitter, own, schedule("chartpost.jobs.live.other"))
		if n := jobs(own); n != 1 {
			t.Errorf("%d messages are there, and the schedule replaced all of them when this was written", n)
		}
	})
	t.Run("a submitter removes the schedule of a job", func(t *testing.T) {
		const later = "chartpost.later.waiting"
		publish(worker, later, schedule("chartpost.jobs.live.other"))
		publish(submitter, own, nats.Header{"Nats-Scheduler": {later}, "Nats-Schedule-Next": {"purge"}})
		if n := jobs(later); n != 0 {
			t.Errorf("%d schedules are there, and it was removed when this was written", n)
		}
	})
}

// stream is JetStream with the rights of a role.
func (s *site) stream(role string) jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.connect(role), jetstream.WithDefaultTimeout(patience))
	must(s.t, err)
	return js
}

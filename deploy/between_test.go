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

// TestASubmitterReachesNoJobOfAnother: NATS looks at subjects, not at headers. What a
// submitter writes into headers is refused by the stream, or does nothing.
func TestASubmitterReachesNoJobOfAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	view := s.stream(operator)
	const own, others, later = "chartpost.jobs.live.own", "chartpost.jobs.live.other", "chartpost.later.other.waiting"
	held := func(name, subject string) uint64 {
		stream, err := view.Stream(t.Context(), "CHARTPOST_"+name)
		must(t, err)
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subject))
		must(t, err)
		return info.State.Subjects[subject]
	}
	publish := func(role, subject string, header nats.Header) error {
		_, err := s.stream(role).PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("{}"), Header: header})
		return err
	}
	schedule := func(target string) nats.Header {
		return nats.Header{jetstream.ScheduleHeader: {"@at 2099-01-01T00:00:00Z"}, jetstream.ScheduleTargetHeader: {target}}
	}
	for range 3 {
		must(t, publish(submitter, own, nil))
		must(t, publish(submitter, others, nil))
	}
	must(t, publish(worker, later, schedule("chartpost.due.live.other")))
	for name, header := range map[string]nats.Header{
		"rollup of a subject": {"Nats-Rollup": {"sub"}},
		"rollup of all":       {"Nats-Rollup": {"all"}},
		"schedule":            schedule(others),
		"end of a schedule":   {"Nats-Scheduler": {later}, "Nats-Schedule-Next": {"purge"}},
		"copy of a schedule":  {"Nats-Scheduler": {later}, "Chartpost-Attempt": {"9"}},
		"copy of a due job":   {"Nats-Stream-Source": {"CHARTPOST_DUE 1 chartpost.due.*.* chartpost.jobs.*.* " + own}},
		"life":                {"Nats-TTL": {"1s"}},
		"count":               {"Nats-Incr": {"+1"}},
	} {
		if err := publish(submitter, own, header); err == nil {
			t.Errorf("%s: it was stored", name)
		}
	}
	if mine, theirs, waiting := held("JOBS", own), held("JOBS", others), held("DUE", later); mine != 3 || theirs != 3 || waiting != 1 {
		t.Errorf("%d jobs of its own, %d of another, and %d schedules are there, want 3, 3 and 1", mine, theirs, waiting)
	}
}

// stream is JetStream with the rights of a role.
func (s *site) stream(role string) jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.connect(role), jetstream.WithDefaultTimeout(patience))
	must(s.t, err)
	return js
}

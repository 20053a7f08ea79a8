package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// follower is a job that comes after another.
func follower(id, after, expires string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2020-11-20T10:00:00Z","expires_at":%q,"after":%q,
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf","title":"Zebedee"}],
		"message":{"patient":{"resourceType":"Patient","id":"Zebedee"},"resource":{"resourceType":"DocumentReference"}}}`, id, expires, after)
}

func (o *office) buryFollower(id, after, expires string) {
	o.t.Helper()
	err := o.queue.Outbox().Bury(o.t.Context(), worker.DeadLetter{
		Lane: schemas.Lane{Class: schemas.Live, Destination: "good-health"}, Data: follower(id, after, expires), Key: "dead/1/" + id + "/1/failed", JobID: id, After: after,
		Status: schemas.StatusFailed, Reason: schemas.Reason{Kind: "permanent", Code: "predecessor_failed", Text: "gone", Path: "/after"},
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// inLanes are the ids of the jobs in the lanes, in their order.
func (o *office) inLanes() string {
	o.t.Helper()
	o.count("JOBS")
	s, err := o.js.Stream(o.t.Context(), "CHARTPOST_JOBS")
	if err != nil {
		o.t.Fatal(err)
	}
	var ids []string
	for seq, state := uint64(1), s.CachedInfo().State; seq <= state.LastSeq; seq++ {
		if m, err := s.GetMsg(o.t.Context(), seq); err == nil {
			job, err := schemas.DecodeJob(m.Data)
			if err != nil {
				o.t.Fatal(err)
			}
			ids = append(ids, job.ID)
		}
	}
	return strings.Join(ids, " ")
}

// TestReplayWithFollowers sends a chain again in its order, whatever that of its dead
// letters is.
func TestReplayWithFollowers(t *testing.T) {
	o := newOffice(t)
	o.buryFollower("third", "second", never)
	o.buryFollower("second", "first", never)
	o.bury("first", never)
	o.bury("other", never)
	if said := o.do(cli.ExitOK, "dead", "replay", "first", "--dry-run"); strings.Contains(said, "second") {
		t.Error(said)
	}
	if said := o.do(cli.ExitOK, "dead", "replay", "first", "--with-followers", "--dry-run"); strings.Count(said, "would be resent") != 3 || strings.Contains(said, "other") {
		t.Error(said)
	}
	if said := o.do(cli.ExitOK, "dead", "show", "second"); !strings.Contains(said, "after") || !strings.Contains(said, "first") {
		t.Error(said)
	}
	if said := o.do(cli.ExitOK, "dead", "ls", "--json"); !strings.Contains(said, `"job_id":"third","after":"second"`) {
		t.Error(said)
	}
	o.do(cli.ExitOK, "dead", "replay", "first", "--with-followers", "--yes")
	if got := o.inLanes(); got != "first second third" {
		t.Errorf("in the lanes: %s", got)
	}
	if n := o.count("DEAD"); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	if said := o.do(cli.ExitOK, "audit", "ls", "--json"); !strings.Contains(said, `"with_followers":"true"`) {
		t.Error(said)
	}
}

// TestReplayWithFollowersOfARefusedJob leaves them: they would fail again.
func TestReplayWithFollowersOfARefusedJob(t *testing.T) {
	o := newOffice(t)
	o.bury("first", long)
	o.buryFollower("second", "first", never)
	o.buryFollower("third", "second", never)
	said := o.do(cli.ExitFailed, "dead", "replay", "first", "--with-followers", "--yes", "--json")
	if strings.Count(said, `"refused":"predecessor_refused"`) != 2 || !strings.Contains(said, `"refused":"expired"`) {
		t.Error(said)
	}
	if n := o.count("DEAD"); n != 3 {
		t.Errorf("%d dead letters", n)
	}
	o.do(cli.ExitOK, "dead", "replay", "first", "--with-followers", "--expires-in", "1h", "--yes")
	if got := o.inLanes(); got != "first second third" {
		t.Errorf("in the lanes: %s", got)
	}
}

// TestStatusNamesThePredecessor of a job that waits.
func TestStatusNamesThePredecessor(t *testing.T) {
	o := newOffice(t)
	lane := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	if _, err := o.js.Publish(t.Context(), schemas.JobSubject("chartpost", lane), follower("queued", "first", never), jetstream.WithExpectStream("CHARTPOST_JOBS")); err != nil {
		t.Fatal(err)
	}
	bucket, err := o.queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(time.Hour).UTC()
	record := job.Record{Phase: job.Waiting, Sequence: 9, Digest: "x", Predecessor: &job.Predecessor{ID: "first", Waits: 1}, NextAttemptAt: at, UpdatedAt: time.Now().UTC(),
		Reason: &schemas.Reason{Kind: "retryable", Code: "predecessor_open", Path: "/after", Text: "not yet"}}
	if _, _, err := ledger.New(bucket, ledger.Patience).Open(t.Context(), schemas.KeyOf(lane, "waiting"), record); err != nil {
		t.Fatal(err)
	}
	if err := o.queue.Outbox().Later(t.Context(), worker.Schedule{Lane: lane, JobID: "waiting", Data: follower("waiting", "first", never), Attempt: 1, At: at}); err != nil {
		t.Fatal(err)
	}
	if said := o.do(cli.ExitOK, "status", "queued"); !strings.Contains(said, "first") {
		t.Error(said)
	}
	if said := o.do(cli.ExitOK, "status", "waiting"); !strings.Contains(said, "waiting until job first is accepted: it looks again at ") {
		t.Error(said)
	}
	if said := o.do(cli.ExitOK, "status", "waiting", "--json"); !strings.Contains(said, `"after":"first"`) {
		t.Error(said)
	}
}

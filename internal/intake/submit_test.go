package intake_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

func dial(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestStoredKnownConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for _, c := range []struct {
		data []byte
		want string
	}{
		{jobOf("a"), "stored"}, {jobOf("a"), "known"},
		{jobOf("a", func(j *schemas.Job) { j.Transfer = schemas.Embed }), "id_conflict"},
		{jobOf("b"), "stored"},
		{jobOf("a", func(j *schemas.Job) { j.Destination.Slug = "other" }), "stored"}, // an id belongs to a destination
	} {
		if got := w.submit(c.data); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if n := w.queued(); n != 3 {
		t.Errorf("%d copies", n)
	}
}

// TestTheLedgerDecides: what a worker has taken is known by its record, whoever published
// it, and without any claim.
func TestTheLedgerDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for _, phase := range []job.Phase{job.Working, job.Accepted, job.Failed, job.Held} {
		id := string(phase)
		_, _, err := w.ledger.Open(t.Context(), schemas.KeyOf(live, id), job.Record{Phase: phase, Attempt: 1, Sequence: 1, Digest: digest(jobOf(id)), UpdatedAt: time.Now()})
		w.must(err)
		if got := w.submit(jobOf(id)); got != "known" {
			t.Errorf("%s: %s", phase, got)
		}
		if got := w.submit(jobOf(id, func(j *schemas.Job) { j.Transfer = schemas.Upload })); got != "id_conflict" {
			t.Errorf("%s, other content: %s", phase, got)
		}
	}
	if n := w.queued(); n != 0 {
		t.Errorf("%d copies", n)
	}
}

// TestAnAbandonedClaim: a process that ended between its claim and its publish keeps the
// job from others for a while, and no longer.
func TestAnAbandonedClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	w.service.Hurry(time.Hour, 100*time.Millisecond)
	data := jobOf("a")
	_, made, err := w.queue.Claims().Make(t.Context(), schemas.KeyOf(live, "a"), intake.Claim{Digest: digest(data), Class: schemas.Live, Token: "ended"})
	if err != nil || !made {
		t.Fatal(made, err)
	}
	if got := w.submit(data); got != "being_submitted" {
		t.Errorf("%s while its publisher may still publish", got)
	}
	if got := w.submit(jobOf("a", func(j *schemas.Job) { j.Transfer = schemas.Embed })); got != "id_conflict" {
		t.Errorf("other content: %s", got)
	}
	w.service.Hurry(0, time.Second)
	if got := w.submit(data); got != "stored" {
		t.Errorf("%s after it was abandoned", got)
	}
	if got := w.submit(data); got != "known" {
		t.Errorf("%s the next time", got)
	}
	if n := w.queued(); n != 1 {
		t.Errorf("%d copies", n)
	}
}

// TestTwoTakeOver: of two processes that find an abandoned claim one publishes.
func TestTwoTakeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	claims, key := w.queue.Claims(), schemas.KeyOf(live, "a")
	old, _, err := claims.Make(t.Context(), key, intake.Claim{Digest: "d", Class: schemas.Live, Token: "old"})
	w.must(err)
	first, replaced, err := claims.Replace(t.Context(), key, old, intake.Claim{Digest: "d", Class: schemas.Live, Token: "first"})
	if err != nil || !replaced {
		t.Fatal(replaced, err)
	}
	stands, replaced, err := claims.Replace(t.Context(), key, old, intake.Claim{Digest: "d", Class: schemas.Live, Token: "second"})
	if err != nil || replaced || stands.Token != "first" || stands.Revision != first.Revision {
		t.Errorf("%+v, %t, %v", stands, replaced, err)
	}
	claims.Drop(t.Context(), key, old) // too late: it is another's
	if found, there, err := claims.Find(t.Context(), key); err != nil || !there || found.Token != "first" || found.Age > time.Minute {
		t.Errorf("%+v, %t, %v", found, there, err)
	}
	claims.Drop(t.Context(), key, first)
	if _, there, err := claims.Find(t.Context(), key); err != nil || there {
		t.Error("it was not dropped", err)
	}
	if _, made, err := claims.Make(t.Context(), key, intake.Claim{Digest: "e", Class: schemas.Live, Token: "third"}); err != nil || !made {
		t.Error("none can be made over a dropped one", made, err)
	}
}

// deaf loses the server's answers to the first publish.
type deaf struct {
	intake.Queue
	line *devtest.Line
	lost atomic.Bool
}

func (d *deaf) Publish(ctx context.Context, lane schemas.Lane, claim intake.Claim, data []byte) error {
	if d.lost.Swap(true) {
		return d.Queue.Publish(ctx, lane, claim, data)
	}
	d.line.Deafen(true)
	defer d.line.Deafen(false)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return d.Queue.Publish(ctx, lane, claim, data)
}

// TestALostConfirmation: the job is found in its lane, and not published again.
func TestALostConfirmation(t *testing.T) {
	t.Parallel()
	d := &deaf{}
	w := newWorld(t, func(url string) string { d.line = devtest.NewLine(t, url); return d.line.URL() }, func(q intake.Queue) intake.Queue { d.Queue = q; return d })
	got := w.submit(jobOf("a"))
	for got == "not_confirmed" || got == "being_submitted" { // a slow machine: the caller asks again
		got = w.submit(jobOf("a"))
	}
	if got != "stored" && got != "known" {
		t.Errorf("%s", got)
	}
	if n := w.queued(); n != 1 {
		t.Errorf("%d copies", n)
	}
}

// TestARefusedPublish: where the queue takes nothing, the claim goes, so that the next try
// is taken at once.
func TestARefusedPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	js := w.jetStream()
	stream, err := js.Stream(t.Context(), "CHARTPOST_JOBS")
	w.must(err)
	config := stream.CachedInfo().Config
	config.MaxMsgSize = 10
	_, err = js.UpdateStream(t.Context(), config)
	w.must(err)
	if got := w.submit(jobOf("a")); got != "queue_max_message_size" {
		t.Errorf("%s", got)
	}
	config.MaxMsgSize = -1
	_, err = js.UpdateStream(t.Context(), config)
	w.must(err)
	if got := w.submit(jobOf("a")); got != "stored" {
		t.Errorf("%s", got)
	}
}

// TestHolds: the lane is searched for a claim's message, other messages aside.
func TestHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	q := w.queue.Submissions()
	for _, token := range []string{"a", "b", "c"} {
		w.must(q.Publish(t.Context(), live, intake.Claim{Token: token}, []byte("{}")))
	}
	for token, want := range map[string]bool{"a": true, "c": true, "d": false} {
		held, err := q.Holds(t.Context(), live, intake.Claim{Token: token, Made: time.Now()})
		if err != nil || held != want {
			t.Errorf("%s: %t, %v", token, held, err)
		}
	}
	if held, err := q.Holds(t.Context(), schemas.Lane{Class: schemas.Live, Destination: "other"}, intake.Claim{Token: "a", Made: time.Now()}); held || err != nil {
		t.Error("found in another lane", err)
	}
	if n, err := q.Depth(t.Context(), live); n != 3 || err != nil {
		t.Error(n, err)
	}
}

// TestARepeatReadsLittle: a storm of repeats, as after an outage, does not read the lane once
// for each.
func TestARepeatReadsLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for i := range 300 {
		if got := w.submit(jobOf(fmt.Sprintf("a-%d", i))); got != "stored" {
			t.Fatal(got)
		}
	}
	nc := dial(t, w.url)
	reads, err := nc.SubscribeSync("$JS.API.STREAM.MSG.GET.CHARTPOST_JOBS")
	w.must(err)
	w.must(nc.Flush())
	if got := w.submit(jobOf("a-299")); got != "known" {
		t.Error(got)
	}
	w.must(nc.Flush())
	if n, _, err := reads.Pending(); err != nil || n < 1 || n > 20 {
		t.Errorf("a repeat of the last of 300 jobs read %d, %v", n, err)
	}
}

var _ intake.Queue = natsq.Submissions{}

func TestAFullLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	now := time.Now()
	w.service = intake.New(intake.Parts{Rules: rules(), Claims: w.queue.Claims(), Queue: w.queue.Submissions(), Ledger: records{w.ledger},
		Depths: intake.NewLaneDepths(w.queue.Submissions(), 3, func() time.Time { return now }), Now: time.Now})
	for i, want := range []string{"stored", "stored", "stored", "lane_full"} {
		if got := w.submit(jobOf(string(rune('a' + i)))); got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
	if got := w.submit(jobOf("a")); got != "known" {
		t.Errorf("a repeat: %s", got)
	}
	if got := w.submit(jobOf("z", func(j *schemas.Job) { j.Destination.Slug = "other" })); got != "stored" {
		t.Errorf("another lane: %s", got)
	}
	js := w.jetStream()
	stream, err := js.Stream(t.Context(), "CHARTPOST_JOBS")
	w.must(err)
	w.must(stream.DeleteMsg(t.Context(), 1))
	now = now.Add(2 * time.Second)
	if got := w.submit(jobOf("d")); got != "stored" {
		t.Errorf("when one has ended: %s", got)
	}
}

package deadletter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestWithFollowers is the order of what is sent again. "b<a" comes after a, and
// "x/b" is at another destination.
func TestWithFollowers(t *testing.T) {
	for _, c := range []struct{ name, named, all, want string }{
		{"none", "a", "c", "a"},
		{"one", "a", "b<a c", "a b"},
		{"a chain", "a", "c<b b<a d<c", "a b c d"},
		{"two of one", "a", "b<a c<a", "a b c"},
		{"two jobs, each with its own", "a x", "b<a y<x", "a b x y"},
		{"a follower that was named before its predecessor", "b<a a", "b<a", "a b"},
		{"a follower alone", "b<a", "c<b", "b c"},
		{"jobs that come after each other", "a<b", "a<b b<a", "a b"},
		{"both of them named", "a<b b<a", "a<b b<a", "a b"},
		{"three in a circle", "a<c", "a<c b<a c<b", "a b c"},
		{"one of another destination", "a", "x/b<a b<a", "a b"},
		{"after itself", "a<a", "a<a", "a"},
	} {
		numbers := map[string]uint64{}
		letters := func(names string) (all []natsq.Letter) {
			for _, name := range strings.Fields(names) {
				if numbers[name] == 0 {
					numbers[name] = uint64(len(numbers) + 1)
				}
				l := natsq.Letter{Sequence: numbers[name], Lane: lane, Status: schemas.StatusFailed, Key: "dead/7/" + name + "/1/failed"}
				if destination, rest, other := strings.Cut(name, "/"); other {
					name, l.Lane.Destination = rest, destination
				}
				l.JobID, l.After, _ = strings.Cut(name, "<")
				all = append(all, l)
			}
			return all
		}
		var got []string
		for _, s := range WithFollowers(Stacks(letters(c.named)), letters(c.all)) {
			got = append(got, s.Newest.JobID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestAFollowerOfARefusedJob is refused too, down the chain; one whose predecessor was
// accepted since is sent.
func TestAFollowerOfARefusedJob(t *testing.T) {
	stack := func(id, after string) Stack {
		return Stack{Newest: natsq.Letter{Lane: lane, JobID: id, After: after}}
	}
	sent := func(err error) func() (Outcome, error) { return func() (Outcome, error) { return Resent, err } }
	var order InOrder
	for _, c := range []struct {
		id, after string
		err, want error
	}{
		{"a", "", nil, nil}, {"b", "a", nil, nil},
		{"c", "", errExpired, errExpired}, {"d", "c", nil, errPredecessor}, {"e", "d", nil, errPredecessor},
		{"f", "", errAccepted, errAccepted}, {"g", "f", nil, nil},
		{"h", "elsewhere", nil, nil},
	} {
		if _, err := order.Next(stack(c.id, c.after), sent(c.err)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.id, err, c.want)
		}
	}
}

// TestReplayIsSeenByFollowers: between the publish and a worker that takes the job, its
// last end counts for nothing.
func TestReplayIsSeenByFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.failed("a")
	w.held("b")
	forgotten := jobText("c", "1")
	w.bury("c", forgotten, schemas.StatusFailed)
	began := time.Now().UTC()
	for _, id := range []string{"a", "b", "c"} {
		if id != "c" {
			if r := w.found(id); r.Open() {
				t.Errorf("%s is open before it is sent again", id)
			}
		}
		if _, err := w.desk("ann").Replay(t.Context(), w.letterOf(id), Terms{Unknown: true}); err != nil {
			t.Fatal(err)
		}
		if r := w.found(id); !r.Phase.Final() || !r.Open() || r.Resent.Before(began) || r.PossibleDuplicate != (id != "a") {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

// TestALetterNamesThePredecessor of its job.
func TestALetterNamesThePredecessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{Lane: lane, Data: jobText("b", "1"), Key: "dead/7/x/1/failed", JobID: "b", After: "a", Status: schemas.StatusFailed}); err != nil {
		t.Fatal(err)
	}
	w.bury("c", jobText("c", "1"), schemas.StatusFailed)
	if l := w.letterOf("b"); l.After != "a" {
		t.Errorf("%+v", l)
	}
	if l := w.letterOf("c"); l.After != "" {
		t.Errorf("%+v", l)
	}
	if (&job.Record{Phase: job.Accepted, Resent: time.Now()}).Open() {
		t.Error("what was accepted is open")
	}
}

package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
)

// TestOneOwnerAfterTheLeaderDies: two workers contend for a record, and two for
// one that is not there yet, while the bucket's leader is killed. Each has one
// winner, and the winner can go on.
func TestOneOwnerAfterTheLeaderDies(t *testing.T) {
	t.Parallel()
	c := devtest.Cluster(t, 3)
	owners := []string{"one", "two"}
	var ledgers []*Ledger
	var pages []*page
	for i, owner := range owners {
		bucket := replicated(t, c.URL())
		ledgers = append(ledgers, New(bucket, 2*limit))
		p := open(t, ledgers[i], "a", fresh(owners[0]), i == 0)
		if p.record.Owner != owners[0] {
			t.Fatalf("%s finds %+v", owner, p.record)
		}
		pages = append(pages, p)
	}
	leader, err := c.StreamLeader(t.Context(), "KV_LEDGER")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[leader].Kill(); err != nil {
		t.Fatal(err)
	}

	type end struct {
		owner   int
		saved   error
		created bool
		opened  error
	}
	ends := make(chan end)
	for i, owner := range owners {
		go func() {
			e := end{owner: i, saved: pages[i].Save(t.Context(), fresh(owner+" again"))}
			_, e.created, e.opened = ledgers[i].Open(t.Context(), keyOf("b"), fresh(owner))
			ends <- e
		}()
	}
	winners, makers, winner := 0, 0, 0
	for range owners {
		e := <-ends
		if e.opened != nil {
			t.Error(e.opened)
		}
		if e.created {
			makers++
		}
		if f, ok := errors.AsType[*fault.Fault](e.saved); ok && f.Kind == fault.Superseded {
			continue
		}
		if e.saved != nil {
			t.Error(e.saved)
		}
		winners, winner = winners+1, e.owner
	}
	if winners != 1 || makers != 1 {
		t.Fatalf("%d owners and %d makers, want 1 and 1", winners, makers)
	}
	r := pages[winner].Record()
	r.Phase = job.Accepted
	if err := pages[winner].Save(t.Context(), r); err != nil {
		t.Error(err)
	}
	// Any server answers a question, also one to which the write has not come yet.
	devtest.Until(t, "the other finds what the winner wrote", limit, func() bool {
		found, ok, err := ledgers[1-winner].Find(t.Context(), keyOf("a"))
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return found.Owner == owners[winner]+" again" && found.Phase == job.Accepted
	})
}

// replicated opens the bucket with a copy on every one of three servers.
func replicated(t *testing.T, url string) jetstream.KeyValue {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(20*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "LEDGER", Storage: jetstream.FileStorage, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

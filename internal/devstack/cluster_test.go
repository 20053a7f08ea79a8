package devstack_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// TestClusterLosesItsLeader: another node takes over with what was stored, and
// the one that was killed comes back.
func TestClusterLosesItsLeader(t *testing.T) {
	t.Parallel()
	c := devtest.Cluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	connection := connect(t, c.URL())
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "kept", []byte("x")); err != nil {
		t.Fatal(err)
	}
	first, err := c.StreamLeader(ctx, "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[first].Kill(); err != nil {
		t.Fatal(err)
	}
	devtest.Until(t, "another leads", 2*time.Minute, func() bool {
		second, err := c.StreamLeader(ctx, "KEPT")
		return err == nil && second != first
	})
	if err := c.Nodes[first].Restart(ctx); err != nil {
		t.Fatal(err)
	}
	devtest.Until(t, "all have the stream", 2*time.Minute, func() bool {
		// The answer to one question may be lost to an election.
		once, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		stream, err := js.Stream(once, "KEPT")
		if err != nil {
			return false
		}
		info := stream.CachedInfo()
		for _, peer := range info.Cluster.Replicas {
			if !peer.Current {
				return false
			}
		}
		return len(info.Cluster.Replicas) == 2 && info.State.Msgs == 1
	})
}

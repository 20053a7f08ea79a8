package faultlab

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// queue is one NATS server, or a cluster of three.
type queue struct {
	single  *devstack.ServerProcess
	cluster *devstack.Cluster
}

func startQueue(t testing.TB, g ground) *queue {
	t.Helper()
	program := binaries.nats(t, g.version)
	start := func(ctx context.Context, o devstack.NATSOptions) (*devstack.ServerProcess, error) {
		return devstack.StartNATSBinary(ctx, program, o)
	}
	if g.replicas == 1 {
		return &queue{single: devtest.Process(t, start, devstack.NATSOptions{Dir: t.TempDir()})}
	}
	c, err := devstack.StartNATSCluster(t.Context(), start, g.replicas, devstack.NATSOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &queue{cluster: c}
}

func (q *queue) url() string {
	if q.cluster != nil {
		return q.cluster.URL()
	}
	return q.single.URL()
}

// leader is the server that leads a stream.
func (q *queue) leader(ctx context.Context, stream string) (*devstack.ServerProcess, error) {
	if q.cluster == nil {
		return q.single, nil
	}
	n, err := q.cluster.StreamLeader(ctx, stream)
	if err != nil {
		return nil, err
	}
	return q.cluster.Nodes[n], nil
}

// killLeader kills the leader of the jobs stream as kill -9 does, and starts it
// again after a while.
func (l *lab) killLeader(ctx context.Context, away time.Duration) error {
	node, err := l.queue.leader(ctx, stream("JOBS"))
	if err != nil {
		return err
	}
	if err := node.Kill(); err != nil {
		return err
	}
	l.harm(queueKilled, node.URL(), 0)
	pause(ctx, away)
	defer func() { l.harm(queueBack, node.URL(), 0) }()
	// It starts again even if the run is over: the books are read from it.
	for deadline := time.Now().Add(patience); ; {
		if err = node.Restart(context.WithoutCancel(ctx)); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func stream(name string) string { return strings.ToUpper(prefix) + "_" + name }

package devstack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is several NATS servers that keep their streams together, each in a
// process of its own.
type Cluster struct {
	// Nodes may be killed and restarted one by one.
	Nodes []*ServerProcess
	names []string
	// claims are of the ports at which the nodes hear each other.
	claims []*Port
}

// NATSStarter starts one node: StartNATSProcess, or StartNATSBinary of a program.
type NATSStarter func(context.Context, NATSOptions) (*ServerProcess, error)

// clusterTries is how often the start is tried with new ports.
const clusterTries = 3

// StartNATSCluster starts n nodes, each in a folder of its own under
// options.Dir, and returns when a stream can have a copy on every one.
func StartNATSCluster(ctx context.Context, startNode NATSStarter, n int, options NATSOptions) (c *Cluster, err error) {
	for range clusterTries {
		if c, err = startCluster(ctx, startNode, n, options); err == nil || ctx.Err() != nil {
			return c, err
		}
	}
	return nil, err
}

func startCluster(ctx context.Context, startNode NATSStarter, n int, options NATSOptions) (*Cluster, error) {
	places, claims, err := seats(n)
	if err != nil {
		return nil, fmt.Errorf("devstack: cluster: %w", err)
	}
	c := &Cluster{claims: claims}
	for _, seat := range places {
		one := options
		one.Seat, one.Dir = seat, filepath.Join(options.Dir, seat.Name)
		node, err := startNode(ctx, one)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("devstack: cluster: %w", err), c.Close())
		}
		c.Nodes, c.names = append(c.Nodes, node), append(c.names, seat.Name)
	}
	if err := c.settle(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("devstack: cluster: %w", err), c.Close())
	}
	return c, nil
}

// settle waits until the nodes know each other: a stream is made on all of them
// and removed.
func (c *Cluster) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, processReadyWithin)
	defer cancel()
	const probe = "DEVSTACK_PROBE"
	return c.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		config := jetstream.StreamConfig{Name: probe, Storage: jetstream.MemoryStorage, Replicas: len(c.Nodes)}
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			return err
		}
		return js.DeleteStream(ctx, probe)
	})
}

// URL names all nodes, separated by commas.
func (c *Cluster) URL() string {
	var all []string
	for _, node := range c.Nodes {
		all = append(all, node.URL())
	}
	return strings.Join(all, ",")
}

// StreamLeader is the number of the node that leads a stream. It waits for an
// election to end.
func (c *Cluster) StreamLeader(ctx context.Context, stream string) (number int, err error) {
	err = c.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		number, err = c.leader(s.CachedInfo().Cluster)
		return err
	})
	return number, err
}

// ConsumerLeader is the number of the node that leads a consumer. It waits for
// an election to end.
func (c *Cluster) ConsumerLeader(ctx context.Context, stream, consumer string) (number int, err error) {
	err = c.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		one, err := js.Consumer(ctx, stream, consumer)
		if err != nil {
			return err
		}
		number, err = c.leader(one.CachedInfo().Cluster)
		return err
	})
	return number, err
}

func (c *Cluster) leader(about *jetstream.ClusterInfo) (int, error) {
	for i, name := range c.names {
		if about != nil && about.Leader == name {
			return i, nil
		}
	}
	return 0, errors.New("it has no leader")
}

// askAgain is the pause between two tries to ask the cluster, askWithin how long
// one may take: an election loses answers, and a slow machine needs seconds.
const (
	askAgain  = 50 * time.Millisecond
	askWithin = 8 * time.Second
)

// ask asks the cluster until it answers or ctx ends.
func (c *Cluster) ask(ctx context.Context, question func(context.Context, jetstream.JetStream) error) error {
	nc, err := nats.Connect(c.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(askAgain))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for {
		try, cancel := context.WithTimeout(ctx, askWithin)
		err := question(try, js)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last answer: %w", ctx.Err(), err)
		case <-time.After(askAgain):
		}
	}
}

// Close stops every node.
func (c *Cluster) Close() error {
	var faults []error
	for _, node := range c.Nodes {
		// A node that shuts down in good order hands its leaderships over first,
		// which takes seconds that nobody needs here.
		faults = append(faults, node.Kill(), node.Close())
	}
	return errors.Join(errors.Join(faults...), closePorts(c.claims))
}

package devtest

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
)

// serverVariable names a nats-server program that NATS, NATSProcess and Cluster
// run instead of the version this module requires.
const serverVariable = "CHARTPOST_TEST_NATS_SERVER"

// startNATS starts the genuine nats-server, as in production. The race detector is
// not in it: it makes a server several times as slow, and its races are not ours.
func startNATS(ctx context.Context, options devstack.NATSOptions) (*devstack.ServerProcess, error) {
	program := os.Getenv(serverVariable)
	if program == "" {
		var err error
		if program, err = devstack.Build(ctx, devstack.NATSServer); err != nil {
			return nil, err
		}
	}
	return devstack.StartNATSBinary(ctx, program, options)
}

// NATSServer is a NATS server for the length of a test.
type NATSServer interface {
	io.Closer
	// URL is where it listens.
	URL() string
	// InProcess connects a client without naming the URL.
	InProcess() nats.Option
}

// natsServer is a process that clients reach as one in their own.
type natsServer struct{ *devstack.ServerProcess }

func (s natsServer) InProcess() nats.Option { return nats.InProcessServer(s) }

// InProcessConn implements what nats.InProcessServer asks for.
func (s natsServer) InProcessConn() (net.Conn, error) {
	u, err := url.Parse(s.URL())
	if err != nil {
		return nil, err
	}
	return net.Dial("tcp", u.Host)
}

// NATS starts a server. An empty Dir is a folder of the test, and any Port that is
// not above 0 a free one.
func NATS(t testing.TB, options devstack.NATSOptions) NATSServer {
	t.Helper()
	options.Port = max(options.Port, 0)
	return natsServer{NATSProcess(t, options)}
}

// NATSProcess starts a server, to be killed and restarted. An empty Dir is a
// folder of the test.
func NATSProcess(t testing.TB, options devstack.NATSOptions) *devstack.ServerProcess {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	return Process(t, startNATS, options)
}

// Cluster starts n NATS servers that keep their streams together, each in a
// process of its own and a folder of the test.
func Cluster(t testing.TB, n int) *devstack.Cluster {
	t.Helper()
	c, err := devstack.StartNATSCluster(t.Context(), startNATS, n, devstack.NATSOptions{Dir: t.TempDir(), LazySync: true})
	closed(t, c, err)
	return c
}

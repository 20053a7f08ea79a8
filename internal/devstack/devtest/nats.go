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

// genuineVariable names a nats-server program that NATS, NATSProcess and Cluster
// run instead of the version this module requires.
const genuineVariable = "CHARTPOST_TEST_NATS_SERVER"

// natsStarter is how a NATS server in a process of its own is started.
func natsStarter() (start devstack.NATSStarter, genuine bool) {
	program := os.Getenv(genuineVariable)
	if program == "" {
		return devstack.StartNATSProcess, false
	}
	return func(ctx context.Context, options devstack.NATSOptions) (*devstack.ServerProcess, error) {
		return devstack.StartNATSBinary(ctx, program, options)
	}, true
}

// NATSServer is a NATS server for the length of a test.
type NATSServer interface {
	io.Closer
	// URL is where it listens.
	URL() string
	// InProcess connects a client without naming the URL.
	InProcess() nats.Option
}

// foreign is a server in another process that stands in for one in this.
type foreign struct{ *devstack.ServerProcess }

func (f foreign) InProcess() nats.Option { return nats.InProcessServer(f) }

// InProcessConn implements what nats.InProcessServer asks for.
func (f foreign) InProcessConn() (net.Conn, error) {
	u, err := url.Parse(f.URL())
	if err != nil {
		return nil, err
	}
	return net.Dial("tcp", u.Host)
}

// NATS starts a server inside the test process. An empty Dir is a folder of
// the test.
func NATS(t testing.TB, options devstack.NATSOptions) NATSServer {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	if start, genuine := natsStarter(); genuine {
		options.Port = max(options.Port, 0)
		return foreign{Process(t, start, options)}
	}
	n, err := devstack.StartNATS(options)
	closed(t, n, err)
	return n
}

// NATSProcess starts a server in a process of its own. An empty Dir is a
// folder of the test.
func NATSProcess(t testing.TB, options devstack.NATSOptions) *devstack.ServerProcess {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	start, _ := natsStarter()
	return Process(t, start, options)
}

// Cluster starts n NATS servers that keep their streams together, each in a
// process of its own and a folder of the test.
func Cluster(t testing.TB, n int) *devstack.Cluster {
	t.Helper()
	start, _ := natsStarter()
	c, err := devstack.StartNATSCluster(t.Context(), start, n, devstack.NATSOptions{Dir: t.TempDir(), LazySync: true})
	closed(t, c, err)
	return c
}

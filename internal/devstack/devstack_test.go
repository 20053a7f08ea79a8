package devstack_test

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	devtest.Main(m, devstack.Role{Name: "parent", Serve: serveParent})
}

// parent is a program whose child is a NATS server: the program at Program, or
// itself again where that is empty.
type parent struct{ Program, Dir string }

func serveParent(_ int, raw json.RawMessage) (devstack.Server, error) {
	var p parent
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	options := devstack.NATSOptions{Dir: p.Dir}
	if p.Program == "" {
		return devstack.StartNATSProcess(context.Background(), options)
	}
	return devstack.StartNATSBinary(context.Background(), p.Program, options)
}

// diesWithItsParent kills a process and waits for the end of a connection to
// the server which that had started.
func diesWithItsParent(t *testing.T, program string) {
	t.Helper()
	p, err := devstack.StartProcess(t.Context(), "parent", parent{program, t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	gone := make(chan struct{})
	connect(t, p.URL(), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-gone
}

// store publishes a message into a file stream.
func store(t *testing.T, connection *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "kept", []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, connection *nats.Conn) uint64 {
	t.Helper()
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func connect(t *testing.T, address string, options ...nats.Option) *nats.Conn {
	t.Helper()
	connection, err := nats.Connect(address, append(options, nats.Timeout(time.Minute))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}

// embedded is a server inside this process.
func embedded(t *testing.T, options devstack.NATSOptions) *devstack.NATS {
	t.Helper()
	server, err := devstack.StartNATS(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func TestEmbeddedNATSKeepsItsStreams(t *testing.T) {
	dir := t.TempDir()
	first := embedded(t, devstack.NATSOptions{Dir: dir})
	store(t, connect(t, first.URL()))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := embedded(t, devstack.NATSOptions{Dir: dir, Port: -1})
	if n := stored(t, connect(t, "", second.InProcess())); n != 1 {
		t.Fatalf("%d messages kept, want 1", n)
	}
}

func TestEmbeddedNATSMaxPayload(t *testing.T) {
	server := embedded(t, devstack.NATSOptions{Dir: t.TempDir(), Port: -1, MaxPayload: 4096})
	if got := connect(t, "", server.InProcess()).MaxPayload(); got != 4096 {
		t.Fatalf("max payload %d, want 4096", got)
	}
}

func TestStartNATSSaysWhatIsWrong(t *testing.T) {
	if _, err := devstack.StartNATS(devstack.NATSOptions{}); err == nil {
		t.Error("no folder: want an error")
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devstack.StartNATS(devstack.NATSOptions{Dir: file, Port: -1}); err == nil {
		t.Error("a file for a folder: want an error")
	}
}

// TestNATSProcesses runs one contract over both ways to have a separate
// process: this program again, and the genuine nats-server.
func TestNATSProcesses(t *testing.T) {
	program, err := devstack.Build(t.Context(), devstack.NATSServer)
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(context.Context, devstack.NATSOptions) (*devstack.ServerProcess, error){
		"this program again": devstack.StartNATSProcess,
		"nats-server": func(ctx context.Context, o devstack.NATSOptions) (*devstack.ServerProcess, error) {
			return devstack.StartNATSBinary(ctx, program, o)
		},
	}
	t.Run("its children die with a process", func(t *testing.T) {
		diesWithItsParent(t, "")
		if runtime.GOOS == "linux" { // nobody else promises it of a foreign program
			diesWithItsParent(t, program)
		}
	})
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			server := devtest.Process(t, way, devstack.NATSOptions{Dir: t.TempDir(), MaxPayload: 4096})
			address := server.URL()
			connection := connect(t, address)
			if got := connection.MaxPayload(); got != 4096 {
				t.Errorf("max payload %d, want 4096", got)
			}
			store(t, connection)
			for _, end := range []func() error{server.Kill, server.Stop} {
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if _, err := nats.Connect(address, nats.Timeout(time.Second)); err == nil {
					t.Fatal("it still listens")
				}
				if err := server.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				if server.URL() != address {
					t.Fatalf("it moved from %s to %s", address, server.URL())
				}
				if n := stored(t, connect(t, address)); n != 1 {
					t.Fatalf("%d messages kept, want 1", n)
				}
			}
		})
	}
}

func TestServerProcessWhenDown(t *testing.T) {
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	for range 2 {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	}
	if err := server.Signal(syscall.SIGSTOP); err == nil {
		t.Error("signal to a server that is down: want an error")
	}
}

func TestStopAfterItDiedByItself(t *testing.T) {
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	if err := server.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartProcessTellsWhatTheServerSaid(t *testing.T) {
	_, err := devstack.StartNATSProcess(t.Context(), devstack.NATSOptions{Dir: ""})
	if err == nil || !strings.Contains(err.Error(), "no folder for JetStream") {
		t.Errorf("got %v, want the server's own reason", err)
	}
	_, err = devstack.StartProcess(t.Context(), "nobody", struct{}{})
	if err == nil || !strings.Contains(err.Error(), `no role "nobody"`) {
		t.Errorf("got %v, want the missing role named", err)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	server := devtest.NATS(t, devstack.NATSOptions{})
	u, err := url.Parse(server.URL())
	if err != nil || u.Hostname() != "127.0.0.1" {
		t.Errorf("listens at %s", server.URL())
	}
}

// TestAPortIsKeptForItsServer: while its server is away, nobody else is given its
// port; when it is closed for good, anybody may be.
func TestAPortIsKeptForItsServer(t *testing.T) {
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	claimed := func() bool {
		claim, err := net.ListenPacket("udp", u.Host)
		if err == nil {
			claim.Close()
		}
		return err != nil
	}
	if err := server.Kill(); err != nil || !claimed() {
		t.Errorf("%v, claimed %t", err, claimed())
	}
	for range 2 {
		if err := server.Close(); err != nil || claimed() {
			t.Errorf("%v, claimed %t", err, claimed())
		}
	}
}

package natsq

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// TestAStartOutlivesSilence: the connection stands, JetStream does not answer, as
// while there is no leader, and comes back while a worker starts.
func TestAStartOutlivesSilence(t *testing.T) {
	t.Parallel()
	_, server := farWorld(t)
	w := dial(t, server.URL(), unasked)
	freeze(t, w, server)
	ended := make(chan error, 3)
	go func() { ended <- w.Verify(t.Context()) }()
	go func() { _, err := w.Ledger(t.Context()); ended <- err }()
	go func() { _, err := w.Control(t.Context()); ended <- err }()
	for _, stream := range []string{"CHARTPOST_JOBS", "KV_CHARTPOST_LEDGER", "KV_CHARTPOST_CONTROL"} {
		until(t, "the log tells of it", func() bool {
			return strings.Contains(w.said.String(), `does not answer; trying on","what":"stream `+stream+`"`)
		})
	}
	early := len(ended)
	must(t, server.Signal(syscall.SIGCONT))
	if early > 0 {
		t.Fatalf("%d have ended, one with: %v", early, <-ended)
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestAStartThatIsNotAnswered ends with another text than one that finds
// nothing, and says nothing of setup.
func TestAStartThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	joinWorld(t, "", stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	w := dial(t, line.URL())
	line.Deafen(true)
	if err := w.verify(t.Context(), 100*time.Millisecond); !errors.Is(err, errSilent) || strings.Contains(err.Error(), "chartpost setup") {
		t.Errorf("%v, want silence named", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.Ledger(short); !errors.Is(err, errSilent) || !strings.Contains(err.Error(), "bucket CHARTPOST_LEDGER") {
		t.Errorf("%v, want silence and the bucket named", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Verify(stopped); !errors.Is(err, context.Canceled) || errors.Is(err, errSilent) {
		t.Errorf("%v, want the end of the context alone", err)
	}
}

// TestWhatIsMissingIsSaidAtOnce, whether or not the rest answers.
func TestWhatIsMissingIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.js.DeleteKeyValue(t.Context(), "CHARTPOST_CONTROL"))
	began := time.Now()
	if err := w.Verify(t.Context()); !errors.Is(err, errSetup) || !strings.Contains(err.Error(), "bucket CHARTPOST_CONTROL") {
		t.Errorf("%v, want the bucket named and setup advised", err)
	}
	if _, err := w.Control(t.Context()); err == nil || errors.Is(err, errSilent) {
		t.Errorf("%v, want the bucket missed", err)
	}
	if time.Since(began) >= startPatience {
		t.Error("what is missing was waited for")
	}
}

// TestAnOldServerIsRefused by whatever begins with Verify or Setup, in one line.
func TestAnOldServerIsRefused(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	for version, old := range map[string]bool{"2.14.9": true, "1.4.1": true, "2.15.0-RC.1": false, "2.99.0": false, "3.0.0": false} {
		w := dial(t, "nats://"+posingAs(t, stack.URL(), version))
		_, err := w.Setup(t.Context(), testLayout)
		for call, err := range map[string]error{"Setup": err, "Verify": w.Verify(t.Context())} {
			switch {
			case !old && err != nil:
				t.Errorf("%s of %s: %v", call, version, err)
			case old && (err == nil || !strings.Contains(err.Error(), "nats-server "+version+" is too old: Chartpost needs 2.15 or newer") || strings.Contains(err.Error(), "\n")):
				t.Errorf("%s of %s: %v, want one line that refuses it", call, version, err)
			}
		}
	}
}

// posingAs passes connections on to a server, which says whenever it tells of itself that
// it is of another version.
func posingAs(t *testing.T, target, version string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	own := regexp.MustCompile(`"version":"[^"]*"`)
	pass := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", strings.TrimPrefix(target, "nats://"))
		if err != nil {
			return
		}
		defer server.Close()
		go func() { io.Copy(server, client); server.Close() }()
		lines := bufio.NewReader(server)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "INFO ") {
				line = own.ReplaceAllString(line, `"version":"`+version+`"`)
			}
			io.WriteString(client, line)
			if words := strings.Fields(line); strings.HasPrefix(line, "MSG ") || strings.HasPrefix(line, "HMSG ") {
				size, _ := strconv.ParseInt(words[len(words)-1], 10, 64)
				io.CopyN(client, lines, size+2)
			}
		}
	}
	go func() {
		for client, err := listener.Accept(); err == nil; client, err = listener.Accept() {
			go pass(client)
		}
	}()
	return listener.Addr().String()
}

package natsq

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// TestAStartOutlivesALackOfLeaders: of three servers one is up, JetStream does
// not answer, and comes back while a worker starts.
func TestAStartOutlivesALackOfLeaders(t *testing.T) {
	t.Parallel()
	w, c := clusterWorld(t)
	w.Close()
	for _, node := range c.Nodes[1:] {
		must(t, node.Kill())
	}
	start := dial(t, c.Nodes[0].URL())
	verified, opened := make(chan error, 1), make(chan error, 2)
	go func() { verified <- start.Verify(t.Context()) }()
	go func() { _, err := start.Ledger(t.Context()); opened <- err }()
	go func() { _, err := start.Control(t.Context()); opened <- err }()
	until(t, "the log tells of it", func() bool { return strings.Contains(start.said.String(), "does not answer; trying on") })
	select {
	case err := <-verified:
		t.Fatalf("it has ended: %v", err)
	default:
	}
	for _, node := range c.Nodes[1:] {
		must(t, node.Restart(t.Context()))
	}
	for _, ended := range []<-chan error{verified, opened, opened} {
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

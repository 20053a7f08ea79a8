// Package devtest gives tests the servers of devstack, each ended with the
// test that asked for it. It is apart from devstack so that a command which
// uses that package does not link testing.
package devtest

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
)

// Main is a TestMain that lets the test binary be a server of each role, and a NATS
// server:
//
//	func TestMain(m *testing.M) { devtest.Main(m) }
func Main(m *testing.M, roles ...devstack.Role) {
	devstack.ServeIfAsked(append(roles, devstack.NATSRole())...)
	// Or every client of S3 reads a hundred certificates; no test talks TLS to S3.
	os.Unsetenv("AWS_CA_BUNDLE")
	os.Exit(m.Run())
}

// Process starts any server process for the length of a test:
//
//	store := devtest.Process(t, s3dev.StartProcess, s3dev.Options{Dir: t.TempDir()})
func Process[O any](t testing.TB, start func(context.Context, O) (*devstack.ServerProcess, error), options O) *devstack.ServerProcess {
	t.Helper()
	p, err := start(t.Context(), options)
	closed(t, p, err)
	return p
}

// closed fails the test when the server did not start, and else closes it at
// the test's end.
func closed(t testing.TB, server io.Closer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

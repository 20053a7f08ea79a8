package devtest

import (
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
)

// Port is a port for a server that the test itself runs, stops and runs again:
// nobody takes it while the server is away.
func Port(t testing.TB) int {
	t.Helper()
	p, err := devstack.TakePort()
	closed(t, p, err)
	return p.Number
}

package devtest

import (
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
)

// Program is a program of this repository, built; see devstack.Build.
func Program(t testing.TB, program string) string {
	t.Helper()
	path, err := devstack.Build(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

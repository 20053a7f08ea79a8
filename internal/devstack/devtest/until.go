package devtest

import (
	"testing"
	"time"
)

// Until waits until a condition holds that announces itself to nobody, and
// fails the test when it does not within the limit.
func Until(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not so after %s", what, limit)
		}
	}
}

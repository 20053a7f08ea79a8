package devtest

import (
	"testing"
	"time"
)

// Until waits until a condition holds that announces itself to nobody, and
// fails the test when it does not within the limit. Where looking takes long it
// looks more seldom, up to a second, or what is waited for would get no turn on
// a slow machine.
func Until(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		looked := time.Now()
		if holds() {
			return
		}
		select {
		case <-time.After(min(max(10*time.Millisecond, 4*time.Since(looked)), time.Second)):
		case <-deadline.C:
			t.Fatalf("%s: not so after %s", what, limit)
		}
	}
}

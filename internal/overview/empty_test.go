package overview

import (
	"testing"

	"github.com/chartpost/chartpost/internal/diagnosis"
)

// TestUntilEmpty: a lane that no job is taken from has no time at which it is empty, however
// many of its jobs ended a moment ago.
func TestUntilEmpty(t *testing.T) {
	if got := untilEmpty(30, 60); got != 30 {
		t.Errorf("30 jobs at 60 a minute take %v s", got)
	}
	if untilEmpty(0, 60) != -1 || untilEmpty(30, 0) != -1 {
		t.Error("a time is told where there is none")
	}
	still := map[diagnosis.State]bool{
		diagnosis.LaterVersion: true, diagnosis.NoWorker: true, diagnosis.Paused: true,
		diagnosis.Broken: true, diagnosis.GatesShut: true, diagnosis.Unserved: true,
	}
	for _, state := range diagnosis.States() {
		if got := stands(diagnosis.Answer{Causes: []diagnosis.Cause{{State: state}}}); got != still[state] {
			t.Errorf("%s: stands %t", state, got)
		}
	}
	if stands(diagnosis.Answer{}) {
		t.Error("a lane that nothing holds stands")
	}
}

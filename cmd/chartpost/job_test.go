package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// silence is a standard input on which nobody writes: a read of it is told, and
// lasts until the test is over.
type silence struct {
	over  context.Context
	asked chan<- struct{}
}

func (s silence) Read([]byte) (int, error) {
	s.asked <- struct{}{}
	<-s.over.Done()
	return 0, s.over.Err()
}

// TestCtrlCWhileStandardInputIsRead ends the command, as it ends any other wait.
func TestCtrlCWhileStandardInputIsRead(t *testing.T) {
	for _, args := range []string{"send -", "preview -", "backfill plan -"} {
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan struct{}, 1)
		go func() {
			<-asked
			cancel()
		}()
		var out, errs bytes.Buffer
		std := streams{in: silence{t.Context(), asked}, out: &out, err: &errs}
		if code := run(ctx, strings.Fields(args), std); code != exitFailed || !strings.Contains(errs.String(), "interrupted while the input was read") {
			t.Errorf("%s: exit code %d\n%s", args, code, errs.String())
		}
	}
}

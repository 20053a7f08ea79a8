package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/cli"
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
		std := cli.Streams{In: silence{t.Context(), asked}, Out: &out, Err: &errs}
		if code := run(ctx, strings.Fields(args), std); code != cli.ExitFailed || !strings.Contains(errs.String(), "interrupted while the input was read") {
			t.Errorf("%s: exit code %d\n%s", args, code, errs.String())
		}
	}
}

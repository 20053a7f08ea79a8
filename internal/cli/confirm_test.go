package cli

import (
	"context"
	"errors"
	"io"
	"testing"
)

// TestQuestionAndCtrlC: a question ends with the command.
func TestQuestionAndCtrlC(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, writer := io.Pipe()
	defer writer.Close()
	std := Streams{In: in, Err: io.Discard, InTerminal: true, ErrTerminal: true}
	if err := (YesFlag{}).Confirm(ctx, std, "Sure?"); !errors.Is(err, errDeclined) {
		t.Error(err)
	}
}

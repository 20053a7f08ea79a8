package main

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
	std := streams{in: in, err: io.Discard, inTerminal: true, errTerminal: true}
	if err := (yesFlag{}).confirm(ctx, std, "Sure?"); !errors.Is(err, errDeclined) {
		t.Error(err)
	}
}

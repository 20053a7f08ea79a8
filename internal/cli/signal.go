package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// ForceOnSecondSignal ends the process at the signal after the one that ended ctx.
func ForceOnSecondSignal(ctx context.Context) {
	<-ctx.Done()
	second := make(chan os.Signal, 1)
	signal.Notify(second, os.Interrupt, syscall.SIGTERM)
	<-second
	os.Exit(ExitFailed)
}

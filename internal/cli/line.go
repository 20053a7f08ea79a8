package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/show"
)

// Where a person looks on, progress is one line that changes; a log gets a line
// now and then.
const (
	progressTerminal = 200 * time.Millisecond
	progressLog      = 10 * time.Second
)

// ShowLine shows a text that changes until the function it gives is called.
func ShowLine(std Streams, text func() string) (stop func()) {
	every, format, end := progressLog, "%s\n", ""
	if std.ErrTerminal {
		every, format, end = progressTerminal, "\r%s\x1b[K", "\r\x1b[K"
	}
	done := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(show.Raw(std.Err), format, show.Clean(text()))
			case <-done:
				fmt.Fprint(show.Raw(std.Err), end)
				return
			}
		}
	})
	return func() { close(done); told.Wait() }
}

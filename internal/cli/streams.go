package cli

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// OutTerminal and ErrTerminal say that a person reads there, InTerminal that
	// one writes.
	OutTerminal, ErrTerminal, InTerminal bool
	// Width is how many columns the terminal of Out has; 0 is no bound.
	Width int
	// Libraries is what becomes of the standard logger's texts; nil is none of a
	// command's business, as in tests.
	Libraries *stdlog.Gag
}

// guarded makes what others wrote visible where a terminal would obey it; a pipe or
// file gets every byte as it is. done shows what is left.
func (s Streams) guarded() (guarded Streams, done func()) {
	out, err := show.NewVisible(s.Out), show.NewVisible(s.Err)
	out.Width, err.Width = s.Width, s.Width
	out.Color = show.Color(s.OutTerminal, os.Getenv)
	if s.OutTerminal {
		s.Out = out
	}
	if s.ErrTerminal {
		s.Err = err
	}
	return s, func() { _, _ = out.Close(), err.Close() }
}

// fail tells every fault on a line of its own.
func (s Streams) fail(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(s.Err, "chartpost:", line)
	}
}

// defect tells of a panic by the type of its value and where it was: the value
// may be about a patient.
func (s Streams) defect(value any) {
	fmt.Fprintf(s.Err, "chartpost: a defect (a panic with a %T). It holds no patient data; please report it:\n%s", value, debug.Stack())
}

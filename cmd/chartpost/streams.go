package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// outTerminal and errTerminal tell that a person reads there, inTerminal that
	// one writes.
	outTerminal, errTerminal, inTerminal bool
	// libraries is what becomes of the standard logger's texts; nil is none of a
	// command's business, as in tests.
	libraries *stdlog.Gag
}

// guarded makes what others wrote visible where a terminal would obey it; a pipe or
// file gets every byte as it is. done shows what is left.
func (s streams) guarded() (guarded streams, done func()) {
	out, err := show.NewVisible(s.out), show.NewVisible(s.err)
	if s.outTerminal {
		s.out = out
	}
	if s.errTerminal {
		s.err = err
	}
	return s, func() { _, _ = out.Close(), err.Close() }
}

// fail tells every fault on a line of its own.
func (s streams) fail(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(s.err, "chartpost:", line)
	}
}

// defect tells of a panic by the type of its value and where it was: the value
// may be about a patient.
func (s streams) defect(value any) {
	fmt.Fprintf(s.err, "chartpost: a defect (a panic with a %T). It holds no patient data; please report it:\n%s", value, debug.Stack())
}

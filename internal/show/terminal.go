package show

import (
	"os"

	"golang.org/x/term"
)

// IsTerminal tells whether a person is at the other end of w, an io.Writer or
// io.Reader.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Color reports whether a terminal wants colors: none where NO_COLOR is set to
// anything (no-color.org), nor on a terminal that calls itself dumb.
func Color(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

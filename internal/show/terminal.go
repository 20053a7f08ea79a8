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

// Width is how many columns the terminal at the other end of w has; 0 is not known, or no
// terminal.
func Width(w any) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

package show

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Visible writes to a terminal, and shows what would command it: control
// characters, among them those of escape sequences, characters that change the
// direction of a text or have no width, and bytes that are no UTF-8 appear as Go
// writes them, \x1b for instance. Line ends and tabs pass. Jobs, reasons and
// names were written by others, and a terminal obeys whoever writes to it.
//
// Close it after the last write: the begin of a character may wait for its end.
type Visible struct {
	// Width is how many columns the terminal has, and Color says that it wants colors.
	// Tables obey both; 0 is no bound.
	Width int
	Color bool

	w io.Writer

	mu   sync.Mutex
	rest []byte
}

// NewVisible shows what is written to w.
func NewVisible(w io.Writer) *Visible { return &Visible{w: w} }

// Write implements io.Writer. Errors are w's.
func (v *Visible) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := append(v.rest, p...)
	whole := len(text)
	if at := lastStart(text); !utf8.FullRune(text[at:]) {
		whole = at
	}
	v.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(v.w, Clean(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close shows what waits for its end.
func (v *Visible) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := io.WriteString(v.w, Clean(string(v.rest)))
	v.rest = nil
	return err
}

// lastStart is where the last character of text begins.
func lastStart(text []byte) int {
	for at := len(text) - 1; at >= max(len(text)-utf8.UTFMax, 0); at-- {
		if utf8.RuneStart(text[at]) {
			return at
		}
	}
	return len(text)
}

// Raw is where w writes to if it is a Visible: for a program's own escape
// sequences, around texts that went through Clean.
func Raw(w io.Writer) io.Writer {
	if v, ok := w.(*Visible); ok {
		return v.w
	}
	return w
}

// Like is to with the columns and colors of w: for a table that is written to memory first.
func Like(w, to io.Writer) io.Writer {
	width, color := screen(w)
	return &Visible{Width: width, Color: color, w: to}
}

// Clean is text with all that a terminal would obey made visible.
func Clean(text string) string {
	if !strings.ContainsFunc(text, commands) && utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out.WriteString(`\x` + strconv.FormatUint(uint64(text[0]), 16))
		case commands(r):
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

func commands(r rune) bool {
	return r != '\n' && r != '\t' && !unicode.IsPrint(r)
}

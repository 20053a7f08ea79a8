package show

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

// hostile is what a terminal would obey, or show as something else.
var hostile = map[string]string{
	"\x1b[2J\x1b[31mred":    `\x1b[2J\x1b[31mred`,    // clear, color
	"\x1b]0;title\x07":      `\x1b]0;title\a`,        // the window's title
	"\x1b]52;c;Y2Fs\x1b\\":  `\x1b]52;c;Y2Fs\x1b\`,   // the clipboard
	"\x1bP+q544e\x1b\\":     `\x1bP+q544e\x1b\`,      // a question whose answer is typed
	"\u009b2J":              `\u009b2J`,              // the same in one character
	"\x9b2J":                `\x9b2J`,                // and in one byte
	"accepted\rfailed":      `accepted\rfailed`,      // overwrites
	"a\bb\x7f\x00":          `a\bb\x7f\x00`,          // erases
	"a\u202egnp.exe":        `a\u202egnp.exe`,        // runs backwards
	"a\u200bb\u2066c\ufeff": `a\u200bb\u2066c\ufeff`, // has no width
	"Zoë\t1\nnext 日本":       "Zoë\t1\nnext 日本",       // is text
	"cut \xe6\x97":          `cut \xe6\x97`,
	"":                      "",
}

func TestVisible(t *testing.T) {
	for text, want := range hostile {
		if got := Clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		for size := 1; size <= max(len(text), 1); size++ {
			var out bytes.Buffer
			v := NewVisible(&out)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if wrote, err := v.Write([]byte(rest[:n])); wrote != n || err != nil {
					t.Fatalf("%d, %v", wrote, err)
				}
				rest = rest[n:]
			}
			if err := v.Close(); err != nil || out.String() != want {
				t.Errorf("%q in pieces of %d: got %q, want %q, %v", text, size, out.String(), want, err)
			}
		}
	}
	var out bytes.Buffer
	if Raw(NewVisible(&out)) != &out || Raw(&out) != &out {
		t.Error("the terminal itself cannot be reached")
	}
}

func FuzzClean(f *testing.F) {
	for text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Clean(text)
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", text, got)
		}
		if again := Clean(got); again != got {
			t.Errorf("%q became %q and then %q", text, got, again)
		}
	})
}

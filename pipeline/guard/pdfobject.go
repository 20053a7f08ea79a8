package guard

import (
	"bytes"
	"strconv"
)

// Objects of a PDF (ISO 32000-1, 7.3), as far as the guard reads any.
type (
	pdfName   string
	pdfString []byte
	pdfDict   map[string]any
	pdfArray  []any
	pdfRef    struct{ number, generation int64 }
)

const (
	pdfDepth = 24   // of objects in each other
	pdfItems = 4096 // of one object
)

// pdfLexer reads objects from b, and none that does not end in it.
type pdfLexer struct {
	b     []byte
	at    int
	items int
}

const blanks = " \t\r\n\f\x00"

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

func (l *pdfLexer) skip() {
	for l.at < len(l.b) {
		switch c := l.b[l.at]; {
		case isBlank(c):
			l.at++
		case c == '%':
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// word gives the regular characters from here on.
func (l *pdfLexer) word() string {
	from := l.at
	for l.at < len(l.b) && !isBlank(l.b[l.at]) && !isDelimiter(l.b[l.at]) {
		l.at++
	}
	return string(l.b[from:l.at])
}

func (l *pdfLexer) prefix(s string) bool { return bytes.HasPrefix(l.b[l.at:], []byte(s)) }

// object reads one object; ok is false where there is none.
func (l *pdfLexer) object(depth int) (v any, ok bool) {
	l.skip()
	if l.items++; l.at >= len(l.b) || depth > pdfDepth || l.items > pdfItems {
		return nil, false
	}
	switch c := l.b[l.at]; {
	case c == '/':
		l.at++
		return pdfName(unescapeName(l.word())), true
	case l.prefix("<<"):
		l.at += 2
		return l.dict(depth)
	case c == '<':
		return l.hex()
	case c == '(':
		return l.literal()
	case c == '[':
		l.at++
		return l.array(depth)
	}
	w := l.word()
	if w == "" {
		return nil, false
	}
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		return w, true // true, false, null, a real number, or a keyword
	}
	// "n g R" is a reference.
	back := l.at
	l.skip()
	if g, err := strconv.ParseInt(l.word(), 10, 32); err == nil {
		l.skip()
		if l.prefix("R") {
			l.at++
			return pdfRef{n, g}, true
		}
	}
	l.at = back
	return n, true
}

func (l *pdfLexer) dict(depth int) (any, bool) {
	d := pdfDict{}
	for {
		l.skip()
		if l.prefix(">>") {
			l.at += 2
			return d, true
		}
		key, ok := l.object(depth + 1)
		name, isName := key.(pdfName)
		if !ok || !isName {
			return nil, false
		}
		value, ok := l.object(depth + 1)
		if !ok {
			return nil, false
		}
		if _, twice := d[string(name)]; !twice {
			d[string(name)] = value
		}
	}
}

func (l *pdfLexer) array(depth int) (any, bool) {
	var a pdfArray
	for {
		l.skip()
		if l.prefix("]") {
			l.at++
			return a, true
		}
		value, ok := l.object(depth + 1)
		if !ok {
			return nil, false
		}
		a = append(a, value)
	}
}

func (l *pdfLexer) hex() (any, bool) {
	end := bytes.IndexByte(l.b[l.at:], '>')
	if end < 0 {
		return nil, false
	}
	var s pdfString
	half, n := byte(0), 0
	for _, c := range l.b[l.at+1 : l.at+end] {
		if digit, ok := hexDigit(c); ok {
			if half = half<<4 | digit; n%2 == 1 {
				s = append(s, half)
			}
			n++
		}
	}
	if n%2 == 1 {
		s = append(s, half<<4)
	}
	l.at += end + 1
	return s, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}

func (l *pdfLexer) literal() (any, bool) {
	var s pdfString
	open := 0
	for l.at++; l.at < len(l.b); l.at++ {
		switch c := l.b[l.at]; c {
		case '\\':
			if l.at++; l.at < len(l.b) {
				s = l.escape(s)
			}
		case '(':
			open++
			s = append(s, c)
		case ')':
			if open == 0 {
				l.at++
				return s, true
			}
			open--
			s = append(s, c)
		default:
			s = append(s, c)
		}
	}
	return nil, false
}

func (l *pdfLexer) escape(s pdfString) pdfString {
	switch c := l.b[l.at]; {
	case c == 'n':
		return append(s, '\n')
	case c == 'r':
		return append(s, '\r')
	case c == 't':
		return append(s, '\t')
	case c == 'b':
		return append(s, '\b')
	case c == 'f':
		return append(s, '\f')
	case c == '\r':
		if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
			l.at++
		}
		return s
	case c == '\n':
		return s
	case '0' <= c && c <= '7':
		n := 0
		for i := 0; i < 3 && l.at < len(l.b) && '0' <= l.b[l.at] && l.b[l.at] <= '7'; i++ {
			n = n<<3 | int(l.b[l.at]-'0')
			l.at++
		}
		l.at--
		return append(s, byte(n))
	default:
		return append(s, c)
	}
}

func unescapeName(s string) string {
	if bytes.IndexByte([]byte(s), '#') < 0 {
		return s
	}
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '#' && i+2 < len(s) {
			high, ok1 := hexDigit(s[i+1])
			low, ok2 := hexDigit(s[i+2])
			if ok1 && ok2 {
				out = append(out, high<<4|low)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

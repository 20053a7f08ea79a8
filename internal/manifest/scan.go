package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// scanner cuts the text into records. It finds where they end and no more:
// looking into them is the workers' part.
type scanner struct {
	from io.Reader
	// window holds what is read and not yet cut off.
	window []byte
	space  []byte
	at     Position
	ended  error
	// delimiter stands between the fields of a CSV record.
	delimiter byte
}

func newScanner(from io.Reader) *scanner {
	return &scanner{from: from, space: make([]byte, 256<<10), at: Position{Line: 1}, delimiter: delimiters[0]}
}

// more reads on; false means that there is no more, or no more is to be held.
func (s *scanner) more() bool {
	if s.ended != nil || len(s.window) > MaxRecord {
		return false
	}
	if len(s.window) == cap(s.window) || cap(s.window) == 0 {
		if len(s.window) > len(s.space)/2 {
			s.space = make([]byte, 2*len(s.space))
		}
		s.window = s.space[:copy(s.space, s.window)]
	}
	n, err := s.from.Read(s.window[len(s.window):cap(s.window)])
	s.window = s.window[:len(s.window)+n]
	s.ended = err
	return n > 0 || err == nil
}

// lineEnd is the length of the physical line that begins at from, newline
// included, and whether it has its end in the window.
func (s *scanner) lineEnd(from int) (int, bool) {
	for looked := from; ; {
		if i := bytes.IndexByte(s.window[looked:], '\n'); i >= 0 {
			return looked + i + 1, true
		}
		looked = len(s.window)
		if !s.more() {
			return len(s.window), false
		}
	}
}

// next gives the next record that is not empty, or io.EOF.
func (s *scanner) next(measure func(*scanner) (int, *Fault)) (Record, error) {
	for {
		if len(s.window) == 0 && !s.more() {
			return Record{}, s.end()
		}
		number := s.at.Line
		n, fault := measure(s)
		if s.ended != nil && !errors.Is(s.ended, io.EOF) {
			// What looks like the end of a line may be the end of the reading.
			return Record{}, s.end()
		}
		raw := s.cut(n)
		if fault != nil && fault.Code == tooLong.Code {
			if err := s.passLine(raw); err != nil {
				return Record{}, err
			}
			raw = nil
		}
		if raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r")); len(raw) > 0 || fault != nil {
			return Record{Number: number, Next: s.at, raw: raw, fault: fault}, nil
		}
	}
}

func (s *scanner) end() error {
	if s.ended == nil || errors.Is(s.ended, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("reading the manifest at line %d: %w", s.at.Line, s.ended)
}

func (s *scanner) cut(n int) []byte {
	raw := s.window[:n]
	s.window = s.window[n:]
	s.at.Line += int64(bytes.Count(raw, []byte("\n")))
	s.at.Offset += int64(n)
	return raw
}

// passLine drops the rest of a physical line that is too long to hold.
func (s *scanner) passLine(begun []byte) error {
	for !bytes.HasSuffix(begun, []byte("\n")) {
		if len(s.window) == 0 && !s.more() {
			if err := s.end(); !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		}
		n := bytes.IndexByte(s.window, '\n') + 1
		if n == 0 {
			n = len(s.window)
		}
		begun = s.cut(n)
	}
	return nil
}

var tooLong = Fault{Code: "line_too_long", Text: fmt.Sprintf("the line has more than %d bytes", MaxRecord)}

// measureLine is the length of a record that is a physical line.
func measureLine(s *scanner) (int, *Fault) {
	n, whole := s.lineEnd(0)
	if n > MaxRecord {
		fault := tooLong
		if whole {
			return n, &fault
		}
		return len(s.window), &fault
	}
	return n, nil
}

var (
	errQuoteInside = Fault{Code: "csv_quote", Text: "a quote stands inside a field that does not begin with one; such a field is put into quotes, and the quotes inside it doubled (RFC 4180)"}
	errQuoteAfter  = Fault{Code: "csv_quote", Text: "a closing quote is followed by neither a delimiter nor the end of the line; a quote inside a quoted field is doubled (RFC 4180)"}
	errQuoteOpen   = Fault{Code: "csv_quote", Text: "a quoted field is not closed"}
)

// measureCSV is the length of a CSV record. Where quotes go wrong, the record
// ends with its first physical line, so that one such line costs no other.
func measureCSV(s *scanner) (int, *Fault) {
	first, whole := s.lineEnd(0)
	if first > MaxRecord {
		return measureLine(s)
	}
	if bytes.IndexByte(s.window[:first], '"') < 0 {
		return first, nil
	}
	q := quotes{delimiter: s.delimiter}
	for from, end := 0, first; ; {
		if fault := q.read(s.window[from:end]); fault != nil {
			return first, fault
		}
		if !q.open {
			return end, nil
		}
		if !whole || end > MaxRecord {
			fault := errQuoteOpen
			return first, &fault
		}
		from = end
		end, whole = s.lineEnd(from)
	}
}

// quotes follows RFC 4180 through a record.
type quotes struct {
	delimiter byte
	// open is inside quotes; inside is behind the first byte of a field without.
	open, inside bool
}

func (q *quotes) read(line []byte) *Fault {
	for i := 0; i < len(line); {
		if q.open {
			at := bytes.IndexByte(line[i:], '"')
			if at < 0 {
				return nil
			}
			if i += at + 1; i < len(line) && line[i] == '"' {
				i++
				continue
			}
			q.open = false
			rest := bytes.TrimSuffix(bytes.TrimSuffix(line[i:], []byte("\n")), []byte("\r"))
			if len(rest) > 0 && rest[0] != q.delimiter {
				fault := errQuoteAfter
				return &fault
			}
			q.inside = true
			continue
		}
		switch c := line[i]; {
		case c == q.delimiter:
			q.inside = false
		case c == '"' && q.inside:
			fault := errQuoteInside
			return &fault
		case c == '"':
			q.open = true
		default:
			q.inside = true
		}
		i++
	}
	return nil
}

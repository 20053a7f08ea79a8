package guard

import (
	"encoding/binary"
	"unicode/utf8"
)

// facts are what was seen of a text from its first byte on.
type facts struct {
	// bytes were looked at; controls of them are none that texts hold.
	bytes, controls int64
	nul             bool
	// high: a byte above 0x7F was seen. broken: the bytes are not UTF-8.
	high, broken bool
	// gap: a byte that Windows-1252 does not define.
	gap bool
	// unpaired: halves of a character in UTF-16.
	unpaired bool
}

// scanner looks at a text piece by piece.
type scanner struct {
	facts
	order binary.ByteOrder // nil unless the text is UTF-16
	// rest are the first bytes of a character that the next piece goes on with.
	rest [4]byte
	kept int
	// lead: the last unit was the first half of a pair.
	lead bool
}

func (s *scanner) add(b []byte) {
	s.bytes += int64(len(b))
	if s.order != nil {
		s.units(b)
		return
	}
	s.ascii(b)
	if s.high && !s.broken {
		s.utf8(b)
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// ascii counts control bytes eight bytes at a time.
func (s *scanner) ascii(b []byte) {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if w&highs != 0 {
			s.slow(b[i : i+8])
			continue
		}
		// A byte below 0x20 borrows into its high bit, and 0x7F carries into it.
		if ((w-0x20*ones)&^w|(w+ones))&highs != 0 {
			s.slow(b[i : i+8])
		}
	}
	s.slow(b[i:])
}

func (s *scanner) slow(b []byte) {
	for _, c := range b {
		switch kinds[c] {
		case control:
			s.controls++
			s.nul = s.nul || c == 0
		case above:
			s.high = true
		case aboveGap:
			s.high, s.gap = true, true
		}
	}
}

const (
	plain byte = iota
	control
	above
	aboveGap
)

// kinds gives what each byte is in a text. Tab, line feed, form feed, carriage
// return and escape are no binary data (WHATWG MIME Sniffing).
var kinds = func() (k [256]byte) {
	for c := range k {
		switch {
		case c <= 0x08 || c == 0x0B || 0x0E <= c && c <= 0x1A || 0x1C <= c && c <= 0x1F || c == 0x7F:
			k[c] = control
		case c >= 0x80:
			k[c] = above
		}
	}
	for _, c := range []byte(undefined1252) {
		k[c] = aboveGap
	}
	return k
}()

// utf8 checks a piece. A character may go on in the next one.
func (s *scanner) utf8(b []byte) {
	for s.kept > 0 && len(b) > 0 && !utf8.FullRune(s.rest[:s.kept]) {
		s.rest[s.kept] = b[0]
		s.kept++
		b = b[1:]
	}
	if s.kept > 0 {
		if !utf8.FullRune(s.rest[:s.kept]) {
			return
		}
		if r, n := utf8.DecodeRune(s.rest[:s.kept]); r == utf8.RuneError || n != s.kept {
			s.broken = true
			return
		}
		s.kept = 0
	}
	if utf8.Valid(b) {
		return
	}
	// The last character may be cut.
	for n := 1; n <= 3 && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) && utf8.Valid(b[:len(b)-n]) {
				s.kept = copy(s.rest[:], last)
				return
			}
			break
		}
	}
	s.broken = true
}

// units looks at a piece of UTF-16.
func (s *scanner) units(b []byte) {
	for len(b) > 0 {
		s.rest[s.kept] = b[0]
		s.kept++
		b = b[1:]
		if s.kept < 2 {
			continue
		}
		s.kept = 0
		u := s.order.Uint16(s.rest[:])
		trail := u>>10 == 0xDC00>>10
		switch {
		case s.lead != trail, u == 0xFFFF, u == 0xFFFE:
			s.unpaired = true
		case u < 0x80 && kinds[u] == control:
			s.controls++
			s.nul = s.nul || u == 0
		}
		s.lead = u>>10 == 0xD800>>10
	}
}

// end says that nothing follows.
func (s *scanner) end() {
	if s.kept > 0 {
		s.broken, s.unpaired = true, s.order != nil
	}
}

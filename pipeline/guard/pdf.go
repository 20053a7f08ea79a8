package guard

import (
	"bytes"
	"strconv"
)

// judgePDF applies the rules for PDF. They read names and numbers that stand
// uncompressed in the file (ISO 32000-1, 7.5).
func (p Policy) judgePDF(v *view) error {
	switch {
	case launches(v.head) || launches(v.tail):
		return refuse(CodeActive, pdfType)
	case p.holds(CodeEncrypted) && (encrypts(v.head) || encrypts(v.tail)):
		return refuse(CodeEncrypted, pdfType)
	case p.holds(CodeTruncated) && pdfCut(v):
		return refuse(CodeTruncated, pdfType)
	}
	return nil
}

// encrypts tells whether a trailer names an encryption dictionary: /Encrypt
// with a reference or a dictionary behind it, and near it what makes its
// surroundings a trailer (7.5.5) or a cross-reference stream (7.5.8).
func encrypts(b []byte) bool {
	const reach = 2048
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("/Encrypt"))
		if n < 0 {
			return false
		}
		at := i + n
		i = at + len("/Encrypt")
		near := b[max(0, at-reach):min(len(b), at+reach)]
		if (reference(b[i:]) || bytes.HasPrefix(bytes.TrimLeft(b[i:min(len(b), i+16)], blanks), []byte("<<"))) &&
			(bytes.Contains(near, []byte("trailer")) || bytes.Contains(near, []byte("/XRef"))) {
			return true
		}
	}
}

const blanks = " \t\r\n\f\x00"

// reference tells whether b starts with "n g R".
func reference(b []byte) bool {
	fields := bytes.Fields(bytes.Map(func(r rune) rune {
		if r == 0 {
			return ' '
		}
		return r
	}, b[:min(len(b), 64)]))
	if len(b) == 0 || !bytes.ContainsAny(b[:1], blanks) || len(fields) < 3 {
		return false
	}
	return digits(fields[0]) && digits(fields[1]) && fields[2][0] == 'R'
}

func digits(b []byte) bool {
	_, err := strconv.ParseUint(string(b), 10, 40)
	return err == nil
}

// launches tells whether an action that starts a program is seen (12.6.4.5).
func launches(b []byte) bool {
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("/Launch"))
		if n < 0 {
			return false
		}
		at := i + n
		i = at + len("/Launch")
		if bytes.HasSuffix(bytes.TrimRight(b[:at], blanks), []byte("/S")) && (i == len(b) || !letter(b[i])) {
			return true
		}
	}
}

// pdfCut tells whether the end of a PDF is missing. Readers put up with bytes
// behind the end mark, and with a missing mark where the place of the
// cross-reference is given.
func pdfCut(v *view) bool {
	if length, ok := linearLength(v.head); ok && v.file.Size < length {
		return true
	}
	end := bytes.LastIndex(v.tail, []byte("%%EOF"))
	if end < 0 {
		return !bytes.Contains(v.tail, []byte("startxref"))
	}
	// Objects behind the last end mark belong to a revision that has none.
	rest := v.tail[end:]
	return bytes.Contains(rest, []byte(" obj")) && !bytes.Contains(rest, []byte("startxref"))
}

// linearLength gives the length that a linearized PDF says it has (Annex F).
func linearLength(head []byte) (int64, bool) {
	head = head[:min(len(head), 1024)]
	i := bytes.Index(head, []byte("/Linearized"))
	if i < 0 {
		return 0, false
	}
	dict, _, ok := bytes.Cut(head[i:], []byte(">>"))
	if !ok {
		return 0, false
	}
	for {
		n := bytes.Index(dict, []byte("/L"))
		if n < 0 {
			return 0, false
		}
		dict = dict[n+2:]
		f := bytes.TrimLeft(dict, blanks)
		end := bytes.IndexFunc(f, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(f)
		}
		if length, err := strconv.ParseInt(string(f[:end]), 10, 64); err == nil {
			return length, true
		}
	}
}

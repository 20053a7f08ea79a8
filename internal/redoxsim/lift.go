package redoxsim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// longString is the size from which a JSON string stays on disk.
	longString = 4 << 10
	// skeletonLimit bounds what is left of a message without its long strings.
	skeletonLimit = 16 << 20
)

var (
	errSkeleton = errors.New("redoxsim: too much JSON besides its long strings")
	errString   = errors.New("redoxsim: a JSON string does not end or holds control characters")
)

// span is where the content of a long string stands in the body, without its
// quotes and still escaped.
type span struct{ from, size int64 }

// lifter copies JSON with its long strings replaced by short names, so that a
// message of 40 MB is understood without holding its file in memory. It knows
// of JSON only where strings begin and end; the skeleton is parsed properly.
type lifter struct {
	in     *bufio.Reader
	at     int64
	out    bytes.Buffer
	prefix string
	long   int64
	spans  []span
}

// lift reads all of r and lifts the strings longer than long bytes. Names are
// prefix and a number; the prefix must not occur in the text otherwise.
func lift(r io.Reader, prefix string, long int64) ([]byte, []span, error) {
	l := &lifter{in: bufio.NewReaderSize(r, 64<<10), prefix: prefix, long: long}
	for {
		outside, err := l.in.ReadSlice('"')
		l.at += int64(len(outside))
		l.out.Write(outside)
		if l.out.Len() > skeletonLimit {
			return nil, nil, errSkeleton
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return l.out.Bytes(), l.spans, nil
		case err != nil:
			return nil, nil, err
		}
		if err := l.str(); err != nil {
			return nil, nil, err
		}
	}
}

// str reads one string after its opening quote: into the skeleton while it is
// short, skipped over when it is not.
func (l *lifter) str() error {
	start, mark := l.at, l.out.Len()
	escaped := false
	for {
		part, err := l.in.ReadSlice('"')
		l.at += int64(len(part))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				return errString
			}
			return err
		}
		if l.at-start <= l.long {
			l.out.Write(part)
		} else {
			l.out.Truncate(mark)
		}
		content := part
		if err == nil {
			content = part[:len(part)-1]
		}
		escaped = escapedAfter(content, escaped)
		if err != nil { // the buffer is full, the string goes on
			continue
		}
		if escaped { // the quote belongs to the string
			escaped = false
			continue
		}
		if l.at-start > l.long {
			fmt.Fprintf(&l.out, `%s%d"`, l.prefix, len(l.spans))
			l.spans = append(l.spans, span{start, l.at - 1 - start})
		}
		return nil
	}
}

// escapedAfter says whether the byte after content is escaped.
func escapedAfter(content []byte, escaped bool) bool {
	n := len(content) - len(bytes.TrimRight(content, `\`))
	if n == len(content) && escaped {
		n++
	}
	return n%2 == 1
}

// validString checks that a span is the inside of a JSON string; it holds the
// span in memory, and is for the rare long string that is not base64.
func (b Body) validString(sp span) (string, error) {
	r, err := b.section(sp.from-1, sp.size+2)
	if err != nil {
		return "", err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

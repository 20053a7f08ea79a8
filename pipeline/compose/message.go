package compose

import (
	"encoding/base64"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Message is literal bytes with the places of embedded files cut out between
// them. It is never changed once built, and any number of streams may be
// opened over it (see Body).
type Message struct {
	// API is the interface that takes the message.
	API API
	// ContentType is the message's own MIME type.
	ContentType string
	// Path is the operation's, see Operation.
	Path string

	parts []Part
	// sizes are those of the embedded files, by the index of their part.
	sizes []int64
	size  int64
}

// Part is a run of literal bytes or, where Literal is nil, the place of the
// base64 of one file.
type Part struct {
	Literal []byte
	// File is the index into the job's files; it means nothing beside Literal.
	File int
}

// Size is the message's exact length in bytes, with the base64 of every
// embedded file.
func (m *Message) Size() int64 { return m.size }

// Parts gives the message in its order. The literals are shared: read only.
func (m *Message) Parts() []Part { return slices.Clone(m.parts) }

// EmbeddedFiles gives the indexes of the files that stream into the message,
// in the order in which they do.
func (m *Message) EmbeddedFiles() []int {
	var files []int
	for _, p := range m.parts {
		if p.Literal == nil {
			files = append(files, p.File)
		}
	}
	return files
}

// render writes the tree and cuts the bytes at every file. Cutting the tree
// while it is written needs no placeholder that could also occur in a value.
func (m *Message) render(root *node, files []Attachment) {
	w := &writer{m: m, files: files}
	w.buf = make([]byte, 0, root.length())
	w.value(root)
	w.cut()
}

type writer struct {
	m     *Message
	files []Attachment
	buf   []byte
}

func (w *writer) cut() {
	if len(w.buf) == 0 {
		return
	}
	w.m.parts = append(w.m.parts, Part{Literal: slices.Clip(w.buf)})
	w.m.sizes = append(w.m.sizes, 0)
	w.m.size += int64(len(w.buf))
	w.buf = nil
}

func (w *writer) file(i int) {
	w.buf = append(w.buf, '"')
	w.cut()
	n := w.files[i].Size
	w.m.parts = append(w.m.parts, Part{File: i})
	w.m.sizes = append(w.m.sizes, n)
	w.m.size += encodedLen(n)
	w.buf = append(w.buf, '"')
}

func (w *writer) value(n *node) {
	switch n.kind {
	case kindObject:
		w.buf = append(w.buf, '{')
		for i, m := range n.members {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = append(append(w.buf, m.name...), ':')
			w.value(m.value)
		}
		w.buf = append(w.buf, '}')
	case kindArray:
		w.buf = append(w.buf, '[')
		for i, e := range n.elems {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.value(e)
		}
		w.buf = append(w.buf, ']')
	case kindFile:
		w.file(n.file)
	default:
		w.buf = append(w.buf, n.raw...)
	}
}

// length is about how many bytes a value is written in, without the base64 of files, so
// that a large message is not copied again and again while it is written.
func (n *node) length() int {
	sum := len(n.raw) + 2 + len(n.members) + len(n.elems)
	for _, m := range n.members {
		sum += len(m.name) + 1 + m.value.length()
	}
	for _, e := range n.elems {
		sum += e.length()
	}
	return sum
}

// encodedLen is the length of the base64, with padding, of n bytes.
func encodedLen(n int64) int64 { return (n + 2) / 3 * 4 }

var encoding = base64.StdEncoding

// quote gives s as a JSON string; what is no UTF-8 becomes U+FFFD.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(make([]byte, 0, len(s)+len(`""`)), s)
	return b
}

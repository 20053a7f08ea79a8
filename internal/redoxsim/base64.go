package redoxsim

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
)

var errBase64 = errors.New("redoxsim: not base64")

// decodeBase64 reads the inside of a JSON string as padded standard base64.
// Line breaks written as escapes are dropped; anything else that base64 cannot
// hold, or anything after the padding, is an error.
func decodeBase64(r io.Reader) io.Reader {
	return &decoder{in: &unescaper{in: bufio.NewReaderSize(r, 64<<10)}, text: make([]byte, 48<<10), out: make([]byte, 36<<10)}
}

// decoder decodes whole groups of four, a block at a time.
type decoder struct {
	in    *unescaper
	text  []byte // space for a block of text
	out   []byte // space for its bytes
	ready []byte // what of out is not yet read
	ended error
}

func (d *decoder) Read(p []byte) (int, error) {
	for len(d.ready) == 0 {
		if d.ended != nil {
			return 0, d.ended
		}
		n, err := io.ReadFull(d.in, d.text)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		d.ended = err
		m, bad := base64.StdEncoding.Strict().Decode(d.out, d.text[:n])
		if bad != nil {
			d.ended = errBase64
			return 0, errBase64
		}
		if d.ready = d.out[:m]; err == nil && d.text[n-1] == '=' {
			d.in.padded = true // nothing but the end may follow
		}
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

// unescaper undoes JSON's escapes. It works on whole runs without one.
type unescaper struct {
	in     *bufio.Reader
	padded bool
}

func (u *unescaper) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := u.in.Peek(1); err != nil {
		return 0, err
	}
	run, _ := u.in.Peek(min(len(p), u.in.Buffered()))
	if i := bytes.IndexByte(run, '\\'); i >= 0 {
		run = run[:i]
	}
	if len(run) == 0 {
		return u.escape(p)
	}
	if u.padded || bytes.IndexByte(run, '\n') >= 0 || bytes.IndexByte(run, '\r') >= 0 {
		return 0, errBase64 // the decoder sees to all other characters
	}
	return u.in.Read(p[:len(run)])
}

// escape reads one escape into p; line breaks vanish.
func (u *unescaper) escape(p []byte) (int, error) {
	_, _ = u.in.Discard(1)
	b, err := u.in.ReadByte()
	if err != nil {
		return 0, errBase64
	}
	switch b {
	case 'n', 'r':
		return 0, nil
	case '/':
	case 'u':
		var digits [4]byte
		if _, err := io.ReadFull(u.in, digits[:]); err != nil {
			return 0, errBase64
		}
		code, err := hex.DecodeString(string(digits[:]))
		if err != nil || code[0] != 0 {
			return 0, errBase64
		}
		if b = code[1]; b == '\n' || b == '\r' {
			return 0, nil
		}
	default:
		return 0, errBase64
	}
	if u.padded {
		return 0, errBase64
	}
	p[0] = b
	return 1, nil
}

package redoxsim

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
)

var errBase64 = errors.New("redoxsim: not base64")

// unescaper reads the inside of a JSON string that should be base64: escapes
// are undone, line breaks in them dropped, and anything that base64 cannot
// hold is an error. Nothing may follow the padding.
type unescaper struct {
	in     *bufio.Reader
	padded bool
}

func decodeBase64(r io.Reader) io.Reader {
	return base64.NewDecoder(base64.StdEncoding.Strict(), &unescaper{in: bufio.NewReaderSize(r, 32<<10)})
}

func (u *unescaper) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		b, err := u.in.ReadByte()
		if err == nil && b == '\\' {
			b, err = u.escape()
		} else if err == nil && b < ' ' {
			err = errBase64
		}
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				return n, nil
			}
			return n, err
		}
		if b == '\r' || b == '\n' {
			continue
		}
		if b != '=' && u.padded {
			return n, errBase64
		}
		u.padded = b == '='
		p[n] = b
		n++
	}
	return n, nil
}

// escape reads what follows a backslash.
func (u *unescaper) escape() (byte, error) {
	b, err := u.in.ReadByte()
	switch {
	case err != nil:
		return 0, errBase64
	case b == '/':
		return '/', nil
	case b == 'n':
		return '\n', nil
	case b == 'r':
		return '\r', nil
	case b != 'u':
		return 0, errBase64
	}
	var digits [4]byte
	if _, err := io.ReadFull(u.in, digits[:]); err != nil {
		return 0, errBase64
	}
	code, err := hex.DecodeString(string(digits[:]))
	if err != nil || code[0] != 0 || code[1] >= 0x80 {
		return 0, errBase64
	}
	return code[1], nil
}

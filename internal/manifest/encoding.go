package manifest

import (
	"bufio"
	"fmt"
	"io"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Encoding is how a manifest's characters are written as bytes.
type Encoding string

// The encodings. Where none is given, a manifest is UTF-8, or UTF-16 where it begins with
// the byte order mark of UTF-16.
const (
	UTF8        Encoding = "utf-8"
	UTF16       Encoding = "utf-16"
	Windows1252 Encoding = "windows-1252"
)

// decoded gives the characters of plain as UTF-8; plain itself where they are written so.
func decoded(plain *bufio.Reader, e Encoding) (io.Reader, error) {
	head, err := peek(plain)
	if err != nil {
		return nil, err
	}
	// Byte order marks: The Unicode Standard, section 23.8.
	marked := head == "\xff\xfe" || head == "\xfe\xff"
	switch {
	case marked && e != "" && e != UTF16:
		return nil, fmt.Errorf("the manifest begins with the byte order mark of UTF-16, and was to be read as %s", e)
	case marked, e == UTF16:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(plain), nil
	case e == Windows1252:
		return charmap.Windows1252.NewDecoder().Reader(plain), nil
	}
	return plain, nil
}

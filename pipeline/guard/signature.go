package guard

import (
	"encoding/binary"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// IsSignature reports whether b can be what a signature in a message holds: a
// text (JWS, an XML signature), a picture, or ASN.1 in DER that ends with b (CMS).
// Programs, scripts, archives and documents are none.
func IsSignature(b []byte) bool {
	if isDER(b) {
		return true
	}
	verdict, err := Policy{Allowed: []string{filetype.Text, filetype.XML, filetype.JSON, filetype.JPEG, filetype.PNG, filetype.GIF, filetype.TIFF, filetype.BMP, filetype.WebP}}.Judge(File{
		Size: int64(len(b)),
		Read: func(offset, length int64) ([]byte, error) { return b[offset : offset+length], nil },
	})
	return err == nil && verdict.ContentType != ""
}

// isDER reports whether b is one SEQUENCE (X.690, 8.1.3).
func isDER(b []byte) bool {
	if len(b) < 4 || b[0] != 0x30 || b[1]&0x80 == 0 {
		return false
	}
	n := int(b[1] & 0x7F)
	if n < 1 || n > 3 || len(b) < 2+n {
		return false
	}
	var length [4]byte
	copy(length[4-n:], b[2:2+n])
	return int(binary.BigEndian.Uint32(length[:])) == len(b)-2-n
}

// IsFile reports whether b is a file of a type that has a signature, or a program
// or script: no value of a few bytes or words.
func IsFile(b []byte) bool {
	v := newView(File{Size: int64(len(b)), Read: func(offset, length int64) ([]byte, error) { return b[offset : offset+length], nil }})
	v.open()
	t := v.detect()
	return dangerOf(t) != "" || t != unknownType && !isLoose(t)
}

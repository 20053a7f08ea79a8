package guard

import (
	"bytes"
	"encoding/binary"

	"github.com/gabriel-vasile/mimetype"
)

// detect names the type of the head: first by signatures at its start that no
// later find may hide, then by the library, whose answer is held to the rules
// for what it is known to get wrong.
func (v *view) detect() string {
	if v.kind == "" {
		v.kind = v.find()
	}
	return v.kind
}

func (v *view) find() string {
	if t := program(v.head); t != "" {
		return t
	}
	if isDICOM(v.head) {
		if canonical(v.declared) == tiffType && isTIFF(v.head) {
			return tiffType // the two share their bytes on purpose (DICOM PS3.10, 7.1)
		}
		return dicomType
	}
	if bytes.HasPrefix(v.head, []byte("II+\x00\x08\x00\x00\x00")) || bytes.HasPrefix(v.head, []byte("MM\x00+\x00\x08\x00\x00")) {
		return tiffType // BigTIFF
	}
	if i := pdfStart(v.head); i == 0 {
		return pdfType
	} else if i > 0 {
		return v.buriedPDF(i)
	}
	return v.ofText()
}

// ofText is the part of find that reads the narrowed head.
func (v *view) ofText() string {
	t, textual := v.byLibrary()
	switch {
	case textual:
		return v.textKind(t)
	case t == unknownType:
		return v.looseText()
	}
	return t
}

// program finds what a machine runs as it stands.
func program(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("MZ")) && isPE(b):
		return programType
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return "application/x-elf"
	case len(b) >= 4 && (bytes.Equal(b[:3], []byte("\xfe\xed\xfa")) && b[3]&^1 == 0xCE || bytes.Equal(b[1:4], []byte("\xfa\xed\xfe")) && b[0]&^1 == 0xCE):
		return "application/x-mach-binary"
	case bytes.HasPrefix(b, []byte("\xca\xfe\xba\xbe")), bytes.HasPrefix(b, []byte("\xca\xfe\xd0\x0d")), bytes.HasPrefix(b, []byte("dex\n03")), bytes.HasPrefix(b, []byte("dex\n04")):
		return "application/x-java-applet" // also Mach-O for several processors
	case bytes.HasPrefix(b, []byte("#!")) && shebang(b[2:]), bytes.HasPrefix(b, []byte("\xef\xbb\xbf#!")) && shebang(b[5:]):
		return scriptType
	case bytes.HasPrefix(b, []byte("X5O!P%@AP[4")):
		return programType // the test file of the virus scanners, a program in letters
	}
	return ""
}

// isPE tells a program from a text that starts with the same two letters: it
// has PE\0\0 where e_lfanew says (PE format, section "MS-DOS Stub"), or it is
// no text at all, as a program for MS-DOS.
func isPE(b []byte) bool {
	if len(b) >= 0x40 {
		at := int64(binary.LittleEndian.Uint32(b[0x3C:]))
		if at+4 <= int64(len(b)) && bytes.Equal(b[at:at+4], []byte("PE\x00\x00")) {
			return true
		}
	}
	return !clean(b)
}

// shebang tells whether b, what follows "#!", names an interpreter.
func shebang(b []byte) bool {
	b = bytes.TrimLeft(b, " \t")
	return bytes.HasPrefix(b, []byte("/")) || bytes.HasPrefix(b, []byte("env "))
}

// byLibrary asks the library, and asks again where it took a text for a binary
// of which a text can have the first letters ("BZh", "FWS", "MZ").
func (v *view) byLibrary() (t string, textual bool) {
	b := v.text
	m := mimetype.Detect(b)
	if plain := clean(b); plain && !underText(m) && !lettered[bare(m.String())] {
		blind := append([]byte{' '}, b[1:]...)
		m = mimetype.Detect(blind)
	}
	t = canonical(bare(m.String()))
	if !underText(m) {
		if t == "audio/mpeg" && !startsSound(b) {
			return unknownType, false // the library searches all bytes for a frame
		}
		return t, false
	}
	if !clean(b) {
		return unknownType, false // a byte order mark made the library believe
	}
	for ; m != nil; m = m.Parent() {
		switch bare(m.String()) {
		case htmlType, "application/xhtml+xml":
			return htmlType, true
		case xmlType:
			return xmlType, true
		case jsonType:
			return jsonType, true
		}
	}
	return t, true
}

// lettered are types that are no text to the library and yet may be all
// letters.
var lettered = map[string]bool{
	pdfType: true, "application/vnd.fdf": true, "application/postscript": true, "application/x-archive": true,
	"application/pkcs7-signature": true, "application/vnd.debian.binary-package": true, "application/x-bittorrent": true,
}

func underText(m *mimetype.MIME) bool {
	for ; m != nil; m = m.Parent() {
		if bare(m.String()) == textType {
			return true
		}
	}
	return false
}

// startsSound tells whether MPEG audio starts at the first byte.
func startsSound(b []byte) bool {
	return bytes.HasPrefix(b, []byte("ID3")) || len(b) > 1 && b[0] == 0xFF && b[1]&0xE0 == 0xE0
}

// pdfStart finds a PDF's header where readers look for it: in the first 1,024
// bytes (Adobe's implementation note 13 to PDF 1.7).
func pdfStart(b []byte) int {
	return bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-"))
}

// polyglotImages are shown by their first bytes and opened as PDF all the same.
var polyglotImages = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, tiffType: true, "image/bmp": true, "image/webp": true, htmlType: true, svgType: true, rtfType: true,
}

const polyglotType = "polyglot"

// buriedPDF judges a header that is not at the start of the file: by what
// stands before it, and else by what the file is without it.
func (v *view) buriedPDF(i int) string {
	before := *v
	before.text = narrow(v.head[:i])
	t, textual := before.byLibrary()
	if textual {
		t = before.textKind(t)
	}
	switch {
	case polyglotImages[t]:
		return polyglotType
	case t == unknownType, len(trimText(v.head[:i])) == 0:
		return pdfType
	case textual && v.head[i-1] == '\n' && (!clean(v.head[i:]) || bytes.Contains(v.head[i:], []byte(" obj"))):
		return pdfType // print jobs and mail headers before it
	}
	blind := *v
	blind.text = narrow(bytes.Replace(v.head, []byte("%PDF-"), []byte("     "), 1))
	return blind.ofText()
}

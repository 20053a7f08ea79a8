package guard

import (
	"bytes"
	"encoding/binary"

	"github.com/gabriel-vasile/mimetype"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// detect names the type of the head: first by signatures that no later find may
// hide, then by the library, whose answer is held to the rules for what it is
// known to get wrong. Text is what is left once all of that has failed and every
// byte seen is one that texts hold.
func (v *view) detect() string {
	if t := program(v.head); t != "" {
		return t
	}
	if isDICOM(v.head) {
		if canonical(v.stated().name) == tiffType && isTIFF(v.head) {
			return tiffType // the two share their bytes on purpose (DICOM PS3.10, 7.1)
		}
		return dicomType
	}
	if i := pdfStart(v.head); i == 0 {
		return pdfType
	} else if i > 0 {
		return v.buriedPDF(i)
	}
	return v.ofText(v.text)
}

// ofText is detect without programs and PDF, of the narrowed head.
func (v *view) ofText(b []byte) string {
	if bytes.HasPrefix(v.head, []byte("II+\x00\x08\x00\x00\x00")) || bytes.HasPrefix(v.head, []byte("MM\x00+\x00\x08\x00\x00")) {
		return tiffType // BigTIFF
	}
	if isBMP(v.head) {
		return filetype.BMP
	}
	isClean := clean(b)
	if t, ok := filetype.BySignature(b); ok && (!isClean || t.Name == filetype.PS) {
		if t.Name == zipType {
			if inside, _ := byLibrary(b); isZip(inside) || dangerOf(inside) != "" {
				return inside
			}
		}
		return t.Name
	}
	start := trimText(b)
	if len(start) == 0 && bytes.IndexByte(b, 0) >= 0 {
		return unknownType // nothing but zeros
	}
	if bytes.HasPrefix(start, []byte(`{\rtf`)) {
		return rtfType // its pictures may be bytes of any kind (RTF 1.9, \bin)
	}
	if foreign(start) {
		return unknownType
	}
	t, textual := byLibrary(b)
	switch {
	case textual:
		return v.textKind(t, start)
	case t == unknownType:
		return v.looseText(start)
	}
	return t
}

// program finds what a machine runs as it stands.
func program(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("MZ")) && isPE(b):
		return programType
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return filetype.ELF
	case len(b) >= 4 && (bytes.Equal(b[:3], []byte("\xfe\xed\xfa")) && b[3]&^1 == 0xCE || bytes.Equal(b[1:4], []byte("\xfa\xed\xfe")) && b[0]&^1 == 0xCE):
		return filetype.MachO
	case bytes.HasPrefix(b, []byte("\xca\xfe\xba\xbe")), bytes.HasPrefix(b, []byte("\xca\xfe\xd0\x0d")), bytes.HasPrefix(b, []byte("dex\n03")), bytes.HasPrefix(b, []byte("dex\n04")):
		return filetype.Java // also Mach-O for several processors
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

// shebang reports whether b, what follows "#!", names an interpreter.
func shebang(b []byte) bool {
	b = bytes.TrimLeft(b, " \t")
	return bytes.HasPrefix(b, []byte("/")) || bytes.HasPrefix(b, []byte("env "))
}

// byLibrary asks the library, and asks again where it took a text for a binary
// of which a text can have the first letters ("BZh", "FWS", "MZ").
func byLibrary(b []byte) (t string, textual bool) {
	isClean := clean(b)
	if whole := bytes.TrimRight(b, "\x00\x1a"); !isClean && clean(whole) {
		b, isClean = whole, true
	}
	m := mimetype.Detect(b)
	if isClean && !underText(m) && !lettered[filetype.Bare(m.String())] && len(b) > 0 {
		blind := append([]byte{' '}, b[1:]...)
		m = mimetype.Detect(blind)
	}
	t = canonical(filetype.Bare(m.String()))
	if !underText(m) {
		if t == filetype.MP3 && !startsSound(b) {
			return unknownType, false // the library searches all bytes for a frame
		}
		return t, false
	}
	if !isClean {
		return unknownType, false // a byte order mark made the library believe
	}
	for ; m != nil; m = m.Parent() {
		switch filetype.Bare(m.String()) {
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
	pdfType: true, "application/vnd.fdf": true, filetype.PS: true, "application/x-archive": true,
	"application/pkcs7-signature": true, "application/vnd.debian.binary-package": true, "application/x-bittorrent": true,
}

func underText(m *mimetype.MIME) bool {
	for ; m != nil; m = m.Parent() {
		if filetype.Bare(m.String()) == textType {
			return true
		}
	}
	return false
}

// startsSound reports whether MPEG audio starts at the first byte.
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
	filetype.JPEG: true, filetype.PNG: true, filetype.GIF: true, tiffType: true, filetype.BMP: true, filetype.WebP: true, htmlType: true, svgType: true, rtfType: true,
}

// buriedPDF judges a header that is not at the start of the file: by what
// stands before it, and else by whether objects follow. A text that only speaks
// of PDF has none.
func (v *view) buriedPDF(i int) string {
	before := *v
	t := before.ofText(v.head[:i])
	switch {
	case polyglotImages[t]:
		return polyglotType
	case dangerOf(t) != "":
		return t
	case t == unknownType, len(trimText(v.head[:i])) == 0:
		return pdfType
	case isText(t) && (!clean(v.head[i:]) || bytes.Contains(v.head[i:], []byte(" obj"))):
		return pdfType // print jobs, mail headers and words before it
	}
	return v.ofText(bytes.Replace(v.text, []byte("%PDF-"), []byte("     "), 1))
}

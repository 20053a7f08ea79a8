package guard

import (
	"bytes"
	"regexp"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// clean reports whether b holds no byte that no text holds.
func clean(b []byte) bool { return controls(b) == 0 }

func controls(b []byte) int64 {
	var s scanner
	s.ascii(b)
	return s.controls
}

// textKind refines what the library called a text. b starts at its first
// character.
func (v *view) textKind(t string, b []byte) string {
	said := filetype.Family(v.stated().name)
	switch {
	case startsScript(b):
		return scriptType
	case isHL7(b):
		return hl7Type
	case isMbox(b):
		return filetype.Mbox
	case isMail(b):
		return mailType
	case dangerOf(t) != "", t == svgType:
		return t
	case bytes.HasPrefix(b, []byte("BEGIN:VCARD")):
		return filetype.VCard
	case bytes.HasPrefix(b, []byte("BEGIN:VCALENDAR")):
		return filetype.ICal
	}
	switch root, markup := rootOf(b); {
	case root == "html" || strongHTML(b):
		return htmlType
	case root == "svg":
		return svgType
	case (root == "job" || root == "package") && foldedContains(b, "<script"):
		return scriptType // Windows Script File
	case markup && (t == xmlType || bytes.HasPrefix(b, []byte("<?xml")) || hasSubset(b) || said == xmlType || !htmlTags[root] || bytes.Contains(b[:min(len(b), 1024)], []byte("xmlns"))):
		return xmlType
	case markup && v.job.name != "" && said == textType:
		return textType
	case markup:
		return htmlType
	case t == xmlType, bytes.HasPrefix(b, []byte("<!--")) && v.endsAsMarkup(b):
		return xmlType // its first element lies behind the head
	}
	switch {
	case t == jsonType, t == ndjsonType, t == filetype.CSV, t == filetype.TSV:
		return t
	case said == jsonType && (bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("["))):
		return jsonType
	}
	return textType
}

// endsAsMarkup reports whether the comment that b starts with goes on behind the
// head: what the first element is lies farther than that.
func (v *view) endsAsMarkup(b []byte) bool {
	return !bytes.Contains(b, []byte("-->")) && v.size > int64(len(v.head))
}

// looseText saves texts that the library takes for binary: HL7 v2 within its
// transport's frame bytes, and old print output that the job calls text.
func (v *view) looseText(b []byte) string {
	n := controls(b)
	switch {
	case len(b) == 0 || bytes.IndexByte(b, 0) >= 0:
		return unknownType
	case isHL7(b) && n*32 <= int64(len(b)):
		return hl7Type
	case n == 0, n*32 <= int64(len(b)) && filetype.Family(v.job.name) == textType:
		return v.textKind(textType, b)
	}
	return unknownType
}

// trimText takes away what frames a text: byte order mark, white space, the
// frame bytes of MLLP, the end mark of MS-DOS and the zeros of C.
func trimText(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return bytes.TrimRight(bytes.TrimLeft(b, " \t\r\n\f\x0b\x1c\x1a"), textEnd)
}

// textEnd are bytes that may stand behind a text.
const textEnd = " \t\r\n\f\x0b\x1c\x1a\x00"

// foreignStarts are how files of other formats start that begin with letters:
// recordings and volumes whose header is text, print jobs, and what hides bytes
// in letters.
var foreignStarts = regexp.MustCompile(`^(?:NRRD000\d|SIMPLE  =|GDF [12]\.|ISHNE1\.0|MATLAB [4-7]\.\d MAT-file|# vtk DataFile|` +
	`Brain ?Vision Data Exchange|P[1-6]\r?\n(?:#[^\n]*\n)*\d+\s+\d+\s|%!PS|\x1b%-12345X|@PJL|` +
	`begin(?:-base64)? [0-7]{3} |=ybegin |-----BEGIN PGP MESSAGE|ID;P[\w;]*\r?\n[A-Z];|%FDF-|/\* XPM|ply\r?\nformat|` +
	`TVqQAAMAAAAEAAAA|f0VMRg)`)

// edfStart is the header of EDF and BDF recordings: version, patient and
// recording of fixed width, then date, time and the header's length.
var edfStart = regexp.MustCompile(`^(?:0       |\xffBIOSEMI)(?s:.{160})\d\d\.\d\d\.\d\d\d\d\.\d\d\.\d\d\d`)

// foreign reports whether b starts as a file of a format that is no text.
func foreign(b []byte) bool {
	switch {
	case len(b) < 4:
		return false
	case bytes.Contains(b, []byte("endobj")) && bytes.Contains(b, []byte(" obj")) && bytes.Contains(b, []byte("<<")):
		return b[0] == '%' || b[0] >= '0' && b[0] <= '9' // a PDF without its first line
	case b[0] == '0' || b[0] == 0xff:
		return edfStart.Match(b)
	}
	return foreignFirst[b[0]] && foreignStarts.Match(b[:min(len(b), 512)])
}

// foreignFirst are the first bytes of foreignStarts, which most texts do not have.
var foreignFirst = func() (m [256]bool) {
	for _, c := range []byte("NSGIM#BPb=-%\x1b@/pTf") {
		m[c] = true
	}
	return m
}()

// isHL7 tells an HL7 v2 message, or a batch of them, by its first segment and
// the encoding characters behind it (HL7 v2.5.1, 2.5.4).
func isHL7(b []byte) bool {
	if len(b) < 9 || b[3] != '|' {
		return false
	}
	return bytes.HasPrefix(b, []byte("MSH")) || bytes.HasPrefix(b, []byte("FHS")) || bytes.HasPrefix(b, []byte("BHS"))
}

// scriptStarts are first words of scripts, lower case.
var scriptStarts = []string{"@echo off", "<?php", "<%@", "windows registry editor version", "regedit4", "[internetshortcut]", "[autorun]", "on error resume next", "[desktop entry]", "#@~^"}

func startsScript(b []byte) bool {
	for _, s := range scriptStarts {
		if len(b) >= len(s) && bytes.EqualFold(b[:len(s)], []byte(s)) {
			return true
		}
	}
	return false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func foldedContains(b []byte, lower string) bool {
	return bytes.Contains(bytes.ToLower(b), []byte(lower))
}

// judgeText holds a text to what texts may hold, from its first byte to
// TextLimit and at its end.
func (p Policy) judgeText(v *view, t string) error {
	if t == rtfType {
		return nil
	}
	if err := p.earn(v, t); err != nil {
		return err
	}
	switch t {
	case xmlType:
		if err := p.judgeXML(v); err != nil {
			return err
		}
	case htmlType, svgType:
		if active(v.text) || active(v.tail) {
			return refuse(CodeActive, t)
		}
	}
	if p.holds(CodeTruncated) && canonical(v.job.name) != textType && textCut(v, t) {
		return refuse(CodeTruncated, t)
	}
	return nil
}

// earn reads a text and holds its bytes to its charset.
func (p Policy) earn(v *view, t string) error {
	end := v.from + int64(len(v.tail))
	for len(v.tail) > 0 && end > v.from && bytes.IndexByte([]byte(textEnd), v.tail[end-v.from-1]) >= 0 {
		end--
	}
	if v.order != nil {
		end = v.from + int64(len(v.tail)) // a byte of these may be half a character
		end += end % 2
		end = min(end, v.size)
	}
	s := scanner{order: v.order}
	begin := int64(0)
	for begin < int64(len(v.head)) && begin < end && (v.head[begin] == 0x0B || v.head[begin] == 0x1C) {
		begin++ // the frame of MLLP
	}
	for at := begin; at < min(end, TextLimit); {
		b := v.once(at, min(textStep, min(end, TextLimit)-at))
		if b == nil {
			return refuse(CodeBeyond, "") // unless the reading failed, see v.err
		}
		s.add(b)
		at += int64(len(b))
	}
	if end > TextLimit {
		s.kept, s.lead = 0, false
		last := scanner{order: v.order}
		last.ascii(v.tail[:max(0, end-v.from)])
		if v.order == nil {
			s.controls, s.nul = s.controls+last.controls, s.nul || last.nul
		}
	} else {
		s.end()
	}
	if s.unpaired || s.controls > 0 && !tolerates(v, t, s.facts) {
		return refuse(CodeUnknown, "")
	}
	if s.broken && bytes.HasPrefix(v.head, []byte("\xef\xbb\xbf")) {
		return refuse(CodeUnknown, "") // its mark says that it is UTF-8
	}
	return p.heldTo(v, s.facts)
}

// tolerates reports whether the control bytes of a text are those of old print
// output, which the job calls text, or of a message's transport.
func tolerates(v *view, t string, f facts) bool {
	return !f.nul && f.controls*32 <= f.bytes && (t == hl7Type || filetype.Family(v.job.name) == textType)
}

// heldTo holds the bytes to the charset that was stated for them. The store's
// is left out where it is not theirs.
func (p Policy) heldTo(v *view, f facts) error {
	said := v.stated().charset
	coding := charsets[said]
	wrong := coding == isASCII && f.high || coding == isUTF8 && f.broken || is1252(said) && f.gap ||
		v.order == nil && coding >= isUTF16 || v.order != nil && coding != 0 && coding < isUTF16
	switch {
	case !wrong:
		return nil
	case v.job.charset != "" && p.holds(CodeCharset):
		return refuse(CodeCharset, "")
	}
	v.dropsCharset = true
	return nil
}

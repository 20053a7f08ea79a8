package guard

import (
	"bytes"
	"encoding/binary"
)

// streamLimit is how many bytes of a document's main stream are read for macros
// and passwords.
const streamLimit = 256 << 10

// look reads in the main stream what the directory does not say.
func (c *compound) look(kind string, top map[string][]byte) (macros, encrypted bool) {
	switch kind {
	case docType:
		// fEncrypted of the FIB, where its nFibBack is one that Word writes ([MS-DOC]
		// 2.5.2).
		b := c.stream(top["WORDDOCUMENT"], 32)
		return false, len(b) > 13 && b[0] == 0xEC && b[1] == 0xA5 && b[11]&0x01 != 0 && (b[12] == 0xBF || b[12] == 0xC1) && b[13] == 0
	case xlsType:
		e := top["WORKBOOK"]
		if e == nil {
			e = top["BOOK"]
		}
		return lookExcel(c.stream(e, streamLimit))
	case pptType:
		return hasVBA(c.stream(top["POWERPOINT DOCUMENT"], streamLimit)), encryptedUser(c.stream(top["CURRENT USER"], 32))
	}
	return false, false
}

// vbaAtom starts the VBAInfoContainer of a presentation with its atom
// ([MS-PPT] 2.4.10 and 2.4.11).
var vbaAtom = []byte("\x1f\x00\xff\x03\x14\x00\x00\x00\x02\x00\x00\x04\x0c\x00\x00\x00")

// hasVBA reads fHasMacros behind the atom's reference.
func hasVBA(b []byte) bool {
	for {
		i := bytes.Index(b, vbaAtom)
		if i < 0 {
			return false
		}
		if b = b[i+len(vbaAtom):]; len(b) < 8 || binary.LittleEndian.Uint32(b[4:]) != 0 {
			return true
		}
	}
}

// encryptedUser reads headerToken of the CurrentUserAtom ([MS-PPT] 2.3.2).
func encryptedUser(b []byte) bool {
	return len(b) >= 16 && binary.LittleEndian.Uint32(b[12:]) == 0xF3D1C4DF
}

// lookExcel walks the records of a workbook's globals ([MS-XLS] 2.1.4): FilePass
// says that it is encrypted, BoundSheet8 which sheets are of Excel 4 macros.
func lookExcel(b []byte) (macros, encrypted bool) {
	const filePass, boundSheet, end = 0x2F, 0x85, 0x0A
	for len(b) >= 4 {
		kind, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if 4+n > len(b) {
			break
		}
		switch body := b[4 : 4+n]; {
		case kind == filePass:
			encrypted = true
		case kind == boundSheet && n >= 6 && body[5] == 1:
			macros = true
		case kind == end:
			return macros, encrypted
		}
		b = b[4+n:]
	}
	return macros, encrypted
}

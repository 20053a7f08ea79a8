package guard

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

func isOLE(t string) bool {
	switch t {
	case oleType, docType, xlsType, pptType, filetype.Outlook, "application/vnd.ms-publisher", filetype.MSI:
		return true
	}
	return false
}

// judgeOLE looks through the directory of a compound file. A file whose
// directory is missing is refused whatever the Policy waives.
func (p Policy) judgeOLE(v *view, detected string) (string, error) {
	c, ok := openCompound(v)
	switch {
	case !ok:
		return "", refuse(CodeTruncated, detected)
	case c.beyond:
		return "", refuse(CodeBeyond, "")
	}
	top := c.top()
	if kind := oleKind(top); kind != "" {
		detected = kind
	} else {
		detected = oleType
	}
	if bytes.Equal(c.entries[80:96], installerClass) {
		return "", refuse(CodeInstaller, filetype.MSI)
	}
	if code := c.danger(); code != "" {
		return "", refuse(code, detected)
	}
	switch detected {
	case docType, xlsType, pptType:
		macros, encrypted := c.look(detected, top)
		switch {
		case macros:
			return "", refuse(CodeMacros, detected)
		case encrypted && p.holds(CodeEncrypted):
			return "", refuse(CodeEncrypted, detected)
		}
	}
	if v.over {
		return "", refuse(CodeBeyond, "")
	}
	if top["ENCRYPTEDPACKAGE"] != nil || top["ENCRYPTIONINFO"] != nil {
		if p.holds(CodeEncrypted) {
			return "", refuse(CodeEncrypted, "")
		}
	}
	return detected, nil
}

// oleKind gives what the streams below the root make of the file. Names are
// compared without case ([MS-CFB] 2.6.4).
func oleKind(top map[string][]byte) string {
	switch {
	case top["WORDDOCUMENT"] != nil:
		return docType
	case top["WORKBOOK"] != nil, top["BOOK"] != nil:
		return xlsType
	case top["POWERPOINT DOCUMENT"] != nil:
		return pptType
	case top["__PROPERTIES_VERSION1.0"] != nil:
		return filetype.Outlook
	case top["QUILL"] != nil:
		return "application/vnd.ms-publisher"
	}
	return ""
}

// danger looks at all entries, wherever they hang in the tree.
func (c *compound) danger() string {
	for b := c.entries; len(b) >= oleEntry; b = b[oleEntry:] {
		if b[66] == 0 || b[66] > 5 {
			continue
		}
		switch name := oleName(b); name {
		case "_VBA_PROJECT", "_VBA_PROJECT_CUR", "VBA":
			return CodeMacros
		case "\x01OLE10NATIVE":
			if code := packaged(c.stream(b, HeadSize)); code != "" {
				return code
			}
		}
	}
	return ""
}

// packaged judges a file that the packager of Windows put into a document: size,
// flags, label, path, then further fields and the file's bytes ([MS-OLEDS]
// 2.3.6; the fields inside are those that the packager writes).
func packaged(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	rest := b[6:]
	for range 2 {
		name, more, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return ""
		}
		if code := attachmentName(strings.ToLower(string(name[bytes.LastIndexByte(name, '\\')+1:]))); code != "" {
			return code
		}
		rest = more
	}
	for i := 0; i < min(len(rest), 600); i++ {
		if t := program(rest[i:]); t != "" && t != scriptType && (t != programType || len(rest) > i+0x40 && isRealPE(rest[i:])) {
			return CodeExecutable
		}
	}
	return ""
}

func isRealPE(b []byte) bool {
	at := int64(binary.LittleEndian.Uint32(b[0x3C:]))
	return at+4 <= int64(len(b)) && bytes.Equal(b[at:at+4], []byte("PE\x00\x00"))
}

// installerClass is the class {000C1084-0000-0000-C000-000000000046} of
// Windows Installer packages.
var installerClass = []byte{0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}

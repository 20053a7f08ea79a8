package guard

import (
	"bytes"
	"encoding/binary"
)

const (
	oleEntry = 128 // bytes of a directory entry, [MS-CFB] 2.6.1
	mailOLE  = "application/vnd.ms-outlook"
	installs = "application/x-ms-installer"
)

func isOLE(t string) bool {
	switch t {
	case oleType, docType, xlsType, pptType, mailOLE, "application/vnd.ms-publisher":
		return true
	}
	return false
}

// oleDirectory gives the offset of the directory of a compound file ([MS-CFB]
// 2.2): the sector that its header names.
func oleDirectory(head []byte) (offset int64, ok bool) {
	if len(head) < 512 || !bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) {
		return 0, false
	}
	shift := binary.LittleEndian.Uint16(head[30:])
	if shift != 9 && shift != 12 {
		return 0, false
	}
	return (int64(binary.LittleEndian.Uint32(head[48:])) + 1) << shift, true
}

// judgeOLE looks through the directory of a compound file as far as its
// sectors follow each other. A file whose directory is missing is refused
// whatever the Policy waives.
func (p Policy) judgeOLE(v *view, detected string) (string, error) {
	offset, ok := oleDirectory(v.head)
	if !ok || offset+oleEntry > v.at+int64(len(v.tail)) {
		return "", refuse(CodeTruncated, detected)
	}
	entries := v.tail[offset-v.at:]
	seen := map[string]bool{}
	everyEntry(entries, func(name string) { seen[name] = true })
	top := rootNames(entries)
	if kind := oleKind(top); kind != "" {
		detected = kind
	}
	switch {
	case seen["<installer>"]:
		return "", refuse(CodeInstaller, installs)
	case seen["_VBA_PROJECT"], seen["_VBA_PROJECT_CUR"], seen["VBA"], v.has(wide("_VBA_PROJECT")):
		return "", refuse(CodeMacros, detected)
	case top["EncryptedPackage"] || top["EncryptionInfo"]:
		if p.holds(CodeEncrypted) {
			return "", refuse(CodeEncrypted, "")
		}
	}
	return detected, nil
}

func oleKind(top map[string]bool) string {
	switch {
	case top["WordDocument"]:
		return docType
	case top["Workbook"], top["Book"]:
		return xlsType
	case top["PowerPoint Document"]:
		return pptType
	case top["__properties_version1.0"]:
		return mailOLE
	}
	return ""
}

// everyEntry visits the names of entries for as long as they look like some.
func everyEntry(b []byte, visit func(name string)) {
	for ; len(b) >= oleEntry; b = b[oleEntry:] {
		switch kind := b[66]; {
		case kind == 0:
			continue
		case kind == 5 && bytes.Equal(b[80:96], installerClass):
			visit("<installer>")
		case kind > 5:
			return
		}
		visit(oleName(b))
	}
}

// installerClass is the class {000C1084-0000-0000-C000-000000000046} of
// Windows Installer packages.
var installerClass = []byte{0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}

// oleName gives the name of an entry, "?" for what is not ASCII.
func oleName(b []byte) string {
	n := min(int(binary.LittleEndian.Uint16(b[64:])), 64)
	var name []byte
	for i := 0; i+1 < n-1; i += 2 {
		if b[i+1] != 0 {
			name = append(name, '?')
			continue
		}
		name = append(name, b[i])
	}
	return string(name)
}

// rootNames gives the names directly below the root, so that a document inside
// another does not speak for it. Its tree is followed as far as it is seen.
func rootNames(b []byte) map[string]bool {
	found := map[string]bool{}
	if len(b) < oleEntry || b[66] != 5 {
		return found
	}
	visited := map[uint32]bool{}
	todo := []uint32{binary.LittleEndian.Uint32(b[76:])}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visited[id] || int64(id) >= int64(len(b)/oleEntry) {
			continue
		}
		visited[id] = true
		e := b[int(id)*oleEntry:][:oleEntry]
		found[oleName(e)] = true
		todo = append(todo, binary.LittleEndian.Uint32(e[68:]), binary.LittleEndian.Uint32(e[72:]))
	}
	return found
}

// wide gives s in UTF-16, as names in compound files are.
func wide(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

package guard

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

const oleEntry = 128 // bytes of a directory entry, [MS-CFB] 2.6.1

func isOLE(t string) bool {
	switch t {
	case oleType, docType, xlsType, pptType, filetype.Outlook, "application/vnd.ms-publisher", filetype.MSI:
		return true
	}
	return false
}

// compound is a compound file ([MS-CFB]).
type compound struct {
	*view
	// shift is the binary logarithm of a sector's size.
	shift  uint
	mini   uint32 // first sector of the mini FAT
	cutoff int64  // streams smaller than this lie in the mini stream
	// entries are those of the directory, in its order.
	entries []byte
	// beyond: what was asked for lies behind the bounds of reading.
	beyond bool
}

// lastSector is the greatest number of a sector ([MS-CFB] 2.1).
const lastSector = 0xFFFFFFFA

// openCompound reads header and directory, wherever its sectors lie. ok is false
// where the file does not hold them.
func openCompound(v *view) (c *compound, ok bool) {
	if len(v.head) < 512 {
		return nil, false
	}
	shift := uint(binary.LittleEndian.Uint16(v.head[30:]))
	if shift != 9 && shift != 12 {
		return nil, false
	}
	c = &compound{view: v, shift: shift, mini: binary.LittleEndian.Uint32(v.head[60:]), cutoff: int64(binary.LittleEndian.Uint32(v.head[56:]))}
	if c.cutoff == 0 {
		c.cutoff = 4096
	}
	first := binary.LittleEndian.Uint32(v.head[48:])
	whole := c.chain(first, DirectoryLimit, func(b []byte) bool {
		c.entries = append(c.entries, b...)
		return true
	})
	if c.beyond {
		return c, true
	}
	return c, whole && len(c.entries) >= oleEntry && c.entries[66] == 5
}

// sector gives the bytes of a sector; the last one of a file may be cut.
func (c *compound) sector(n uint32) []byte {
	b := c.at((int64(n)+1)<<c.shift, 1<<c.shift)
	if b == nil && c.over {
		c.beyond = true
	}
	return b
}

// next gives the sector that follows n by the FAT.
func (c *compound) next(n uint32) (uint32, bool) {
	per := uint32(1) << (c.shift - 2)
	index := n / per
	var fat uint32
	if index < 109 {
		at := 76 + 4*int(index)
		if at+4 > len(c.head) {
			return 0, false
		}
		fat = binary.LittleEndian.Uint32(c.head[at:])
	} else {
		// Sectors of the DIFAT hold the rest, and the number of the next in their
		// last place.
		index -= 109
		at := binary.LittleEndian.Uint32(c.head[68:])
		for ; index >= per-1; index -= per - 1 {
			b := c.sector(at)
			if len(b) < 1<<c.shift {
				return 0, false
			}
			at = binary.LittleEndian.Uint32(b[len(b)-4:])
		}
		b := c.sector(at)
		if len(b) < 4*int(index)+4 {
			return 0, false
		}
		fat = binary.LittleEndian.Uint32(b[4*index:])
	}
	if fat > lastSector {
		return 0, false
	}
	b := c.sector(fat)
	place := 4 * int(n%per)
	if len(b) < place+4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[place:]), true
}

// chain visits the sectors that follow each other from n on, as far as limit
// bytes. It gives false where they do not come to their end.
func (c *compound) chain(n uint32, limit int64, visit func([]byte) bool) bool {
	for seen := int64(0); n <= lastSector; seen += 1 << c.shift {
		if seen >= limit {
			c.beyond = true
			return false
		}
		b := c.sector(n)
		if b == nil {
			return false
		}
		if !visit(b) {
			return true
		}
		following, ok := c.next(n)
		if !ok || following == n {
			return false
		}
		n = following
	}
	return true
}

// stream gives the first bytes of an entry's stream, at most limit. What cannot
// be read is left out.
func (c *compound) stream(e []byte, limit int64) []byte {
	if len(e) < oleEntry {
		return nil
	}
	start, size := binary.LittleEndian.Uint32(e[116:]), int64(binary.LittleEndian.Uint32(e[120:]))
	limit = min(limit, size)
	if limit <= 0 {
		return nil
	}
	beyond := c.beyond
	defer func() { c.beyond = beyond }() // of a stream less is enough
	if size < c.cutoff {
		return c.small(start, limit)
	}
	return c.gather(start, limit)
}

func (c *compound) gather(start uint32, limit int64) []byte {
	var b []byte
	c.chain(start, limit, func(s []byte) bool {
		b = append(b, s...)
		return int64(len(b)) < limit
	})
	return b[:min(int64(len(b)), limit)]
}

// small reads a stream from the mini stream, whose sectors are of 64 bytes.
func (c *compound) small(start uint32, limit int64) []byte {
	const miniLimit = 256 << 10
	root := c.entries[:oleEntry]
	whole := c.gather(binary.LittleEndian.Uint32(root[116:]), min(miniLimit, int64(binary.LittleEndian.Uint32(root[120:]))))
	fat := c.gather(c.mini, miniLimit/16)
	var b []byte
	for n := start; n <= lastSector && int64(len(b)) < limit; {
		at := int(n) * 64
		if at < 0 || at >= len(whole) {
			break
		}
		b = append(b, whole[at:min(at+64, len(whole))]...)
		if int(n)*4+4 > len(fat) || int(n)*4 < 0 {
			break
		}
		n = binary.LittleEndian.Uint32(fat[n*4:])
	}
	return b[:min(int64(len(b)), limit)]
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

// oleName gives the name of an entry in capitals, "?" for what is not ASCII.
func oleName(b []byte) string {
	n := min(int(binary.LittleEndian.Uint16(b[64:])), 64)
	var name []byte
	for i := 0; i+1 < n-1; i += 2 {
		c := b[i]
		switch {
		case b[i+1] != 0:
			c = '?'
		case 'a' <= c && c <= 'z':
			c -= 0x20
		}
		name = append(name, c)
	}
	return string(name)
}

// top gives the entries directly below the root by their names, so that a
// document inside another does not speak for it.
func (c *compound) top() map[string][]byte {
	found := map[string][]byte{}
	visited := map[uint32]bool{}
	todo := []uint32{binary.LittleEndian.Uint32(c.entries[76:])}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visited[id] || int64(id) >= int64(len(c.entries)/oleEntry) {
			continue
		}
		visited[id] = true
		e := c.entries[int(id)*oleEntry:][:oleEntry]
		if e[66] == 0 || e[66] > 5 {
			continue
		}
		found[oleName(e)] = e
		todo = append(todo, binary.LittleEndian.Uint32(e[68:]), binary.LittleEndian.Uint32(e[72:]))
	}
	return found
}

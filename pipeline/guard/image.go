package guard

import (
	"bytes"
	"encoding/binary"
)

// imageCut reports whether the end of an image is missing, for the formats that
// say where it is.
func imageCut(v *view, t string) bool {
	switch t {
	case "image/jpeg":
		return jpegCut(v)
	case "image/png":
		return !bytes.Contains(v.tail, []byte("IEND\xae\x42\x60\x82"))
	case "image/webp":
		return len(v.head) >= 8 && v.cutBehind(int64(binary.LittleEndian.Uint32(v.head[4:]))+7)
	case tiffType:
		return tiffCut(v)
	}
	return false
}

// jpegCut reports whether no end mark is seen (ITU-T T.81, B.1.1.3). Inside the
// coded picture a 0xFF has a zero behind it, so that a picture cut off has
// none. Phones put a film behind the picture, and its last bytes are no sign.
func jpegCut(v *view) bool {
	if bytes.Contains(v.tail, []byte{0xFF, 0xD9}) {
		return false
	}
	for _, s := range []string{"moov", "mdat", "SEFT"} {
		if bytes.Contains(v.tail, []byte(s)) {
			return false
		}
	}
	return true
}

// tiffCut reports whether the first directory lies behind the end (TIFF 6.0,
// section 2).
func tiffCut(v *view) bool {
	b := v.head
	if len(b) < 16 {
		return true
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	if order.Uint16(b[2:]) == 43 {
		offset := order.Uint64(b[8:])
		return offset > 1<<62 || v.cutBehind(int64(offset))
	}
	return v.cutBehind(int64(order.Uint32(b[4:])))
}

// isBMP knows a bitmap by the sizes of its second header, of which OS/2 has its
// own (16 and 64 bytes; 12 in the oldest).
func isBMP(b []byte) bool {
	if len(b) < 26 || b[0] != 'B' || b[1] != 'M' || binary.LittleEndian.Uint32(b[6:]) != 0 {
		return false
	}
	switch binary.LittleEndian.Uint32(b[14:]) {
	case 12, 16, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}

func isTIFF(b []byte) bool {
	return bytes.HasPrefix(b, []byte("II*\x00")) || bytes.HasPrefix(b, []byte("MM\x00*"))
}

// isDICOM knows a DICOM file by its prefix (PS3.10, 7.1) or, as older
// modalities write them, by its first data elements.
func isDICOM(b []byte) bool {
	if len(b) >= 132 && string(b[128:132]) == "DICM" {
		return true
	}
	return elements(b) >= 3
}

// elements counts the data elements at the start of b, up to three, in little
// endian with explicit or implicit value representation (PS3.5, 7.1): of group
// 2 or 8 at first, in rising order, of even length.
func elements(b []byte) (n int) {
	var last uint32
	for n < 3 {
		if len(b) < 12 {
			return n
		}
		group, element := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		tag := uint32(group)<<16 | uint32(element)
		if n == 0 && group != 2 && group != 8 || n > 0 && tag <= last || group > 0x7FE0 {
			return n
		}
		length, from, ok := valueLength(b)
		if !ok || length%2 != 0 || length > 1<<16 {
			return n
		}
		n, last = n+1, tag
		if from+int(length) > len(b) {
			return n
		}
		b = b[from+int(length):]
	}
	return n
}

// valueLength gives the length of the first element's value and its offset.
func valueLength(b []byte) (length uint32, from int, ok bool) {
	switch vr := string(b[4:6]); vr {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US":
		return uint32(binary.LittleEndian.Uint16(b[6:])), 8, true
	case "OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OF", "OD", "OL":
		return binary.LittleEndian.Uint32(b[8:]), 12, binary.LittleEndian.Uint16(b[6:]) == 0
	}
	return binary.LittleEndian.Uint32(b[4:]), 8, true
}

package archive

import (
	"crypto/sha256"
	"encoding/binary"
)

// pageCount is how many index pages there are. With 30 million records a page
// lists about 3,700 of them in some 19 kB. It is part of the format: another
// number would look for every key on another page.
const pageCount = 1 << 13

// place is where a key is indexed: the number of its page in the upper half, its
// fingerprint in the lower. Both come from the key's SHA-256: of 30 million records
// one in a million shares page and fingerprint with a key that is looked up.
// Records are archived in the order of their places, so that a chunk belongs to
// few pages.
type place uint64

func placeOf(key string) place {
	sum := sha256.Sum256([]byte(key))
	page := binary.BigEndian.Uint16(sum[:]) % pageCount
	return place(page)<<32 | place(binary.BigEndian.Uint32(sum[2:]))
}

func (p place) page() uint16        { return uint16(p >> 32) }
func (p place) fingerprint() uint32 { return uint32(p) }

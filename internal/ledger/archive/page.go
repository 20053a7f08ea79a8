package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// runID names one pass of a compactor: the second in which it began, and a
// random number, so that two passes never share a chunk.
type runID uint64

func newRunID(now time.Time, random uint32) runID {
	return runID(uint64(uint32(now.Unix()))<<32 | uint64(random))
}

// began is when the pass began, in whole seconds, by the compactor's clock.
func (r runID) began() time.Time { return time.Unix(int64(r>>32), 0) }

func (r runID) String() string { return fmt.Sprintf("%016x", uint64(r)) }

// chunkID names a chunk.
type chunkID struct {
	run    runID
	number uint32
}

// group lists the records of one page that lie in one chunk.
type group struct {
	chunk chunkID
	// fingerprints are of 4 bytes each, the highest byte first, in ascending order.
	fingerprints []byte
}

// page is one index page, its groups in the order in which they were added.
type page struct{ groups []group }

// A page is encoded as: a mark, the version, the number of groups; each group as
// its run (8 bytes), chunk, number of fingerprints and fingerprints; and the
// CRC-32C of all that. Numbers without a size are unsigned varints.
const (
	pageMark      = 'P'
	formatVersion = 1
	checksumSize  = 4
	// mostPageSize keeps a page below a NATS server's usual limit of 1 MiB. A page
	// reaches it with 200,000 records, 60 times as many as it is made for.
	mostPageSize = 900_000
)

var (
	errDamaged = errors.New("the checksum does not match")
	errFormat  = errors.New("it has another format or version")
	errCut     = errors.New("it ends too early")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum of b.
func seal(b []byte) []byte { return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)) }

// unseal checks the checksum, mark and version, and gives what lies between.
func unseal(data []byte, mark byte) ([]byte, error) {
	if len(data) < 2+checksumSize {
		return nil, errCut
	}
	body, sum := data[:len(data)-checksumSize], data[len(data)-checksumSize:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return nil, errDamaged
	}
	if body[0] != mark || body[1] != formatVersion {
		return nil, errFormat
	}
	return body[2:], nil
}

func (p page) encode() []byte {
	b := []byte{pageMark, formatVersion}
	b = binary.AppendUvarint(b, uint64(len(p.groups)))
	for _, g := range p.groups {
		b = binary.BigEndian.AppendUint64(b, uint64(g.chunk.run))
		b = binary.AppendUvarint(b, uint64(g.chunk.number))
		b = binary.AppendUvarint(b, uint64(len(g.fingerprints)/4))
		b = append(b, g.fingerprints...)
	}
	return seal(b)
}

// decodePage reads a page. Its groups share data's memory.
func decodePage(data []byte) (page, error) {
	body, err := unseal(data, pageMark)
	if err != nil {
		return page{}, err
	}
	r := reader{rest: body}
	n := r.uvarint()
	if n > uint64(len(body)) {
		return page{}, errCut
	}
	p := page{groups: make([]group, 0, n)}
	for range n {
		g := group{chunk: chunkID{run: runID(r.uint64()), number: r.uint32()}}
		g.fingerprints = r.take(r.uvarint(), 4)
		if r.err == nil && !ascending(g.fingerprints) {
			return page{}, errFormat
		}
		p.groups = append(p.groups, g)
	}
	return p, r.end()
}

func ascending(fingerprints []byte) bool {
	for i := 4; i < len(fingerprints); i += 4 {
		if binary.BigEndian.Uint32(fingerprints[i-4:]) > binary.BigEndian.Uint32(fingerprints[i:]) {
			return false
		}
	}
	return true
}

// has reports whether a record of this fingerprint is in the group.
func (g group) has(fingerprint uint32) bool {
	low, high := 0, len(g.fingerprints)/4
	for low < high {
		if middle := (low + high) / 2; binary.BigEndian.Uint32(g.fingerprints[4*middle:]) < fingerprint {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return 4*low < len(g.fingerprints) && binary.BigEndian.Uint32(g.fingerprints[4*low:]) == fingerprint
}

// find gives the chunks that may hold a record of this fingerprint, the newest
// first.
func (p page) find(fingerprint uint32) []chunkID {
	var found []chunkID
	for _, g := range slices.Backward(p.groups) {
		if g.has(fingerprint) {
			found = append(found, g.chunk)
		}
	}
	return found
}

// with is the page with further groups, those that it has left aside, and without
// the runs that began before a time.
func (p page) with(added []group, before time.Time) page {
	var next page
	for _, g := range p.groups {
		if !g.chunk.run.began().Before(before) {
			next.groups = append(next.groups, g)
		}
	}
	for _, g := range added {
		if !p.lists(g.chunk) {
			next.groups = append(next.groups, g)
		}
	}
	return next
}

func (p page) lists(chunk chunkID) bool {
	return slices.ContainsFunc(p.groups, func(g group) bool { return g.chunk == chunk })
}

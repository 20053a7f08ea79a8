package jobindex

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

const (
	// MostEvents is how many events a full segment stands for. A query reads up to as
	// many from the events themselves, since a part that is not full is not written.
	MostEvents = 4096
	// mostPostings bounds a segment of events with many terms to some 320 kB, which is
	// less than the largest job and so less than a server takes.
	mostPostings = 40_000
)

// draft is a segment that is being built.
type draft struct {
	salt   Salt
	span   Span
	most   int
	base   uint64
	events int
	// posted counts what is in postings: per hash the offsets from base, ascending.
	posted   int
	postings map[uint32][]uint64
}

// newDraft begins a segment of at most most events, from a sequence on.
func newDraft(salt Salt, born time.Time, from uint64, most int) *draft {
	return &draft{salt: salt, span: Span{From: from, Born: born}, most: most, postings: map[uint32][]uint64{}}
}

// add takes in the next event.
func (d *draft) add(e Event, terms []Term) {
	if d.events == 0 {
		d.base, d.span.Since = e.Sequence, e.Stored
	}
	d.events++
	d.span.Last, d.span.Until = e.Sequence, e.Stored
	offset := e.Sequence - d.base
	for _, t := range terms {
		h := d.salt.hash(t)
		list := d.postings[h]
		if n := len(list); n > 0 && list[n-1] == offset {
			continue
		}
		d.postings[h] = append(list, offset)
		d.posted++
	}
}

// full reports whether the segment takes no more.
func (d *draft) full() bool { return d.events >= d.most || d.posted >= mostPostings }

// formatVersion is the first byte of a segment.
const formatVersion = 1

// encode gives the data of the segment: the version, the salt, the base as uvarint, and
// for each hash, ascending: 4 bytes, the length of its postings in bytes as uvarint, and
// the postings, each the uvarint difference to the one before it, the first to the base.
func (d *draft) encode() []byte {
	data := append([]byte{formatVersion}, d.salt[:]...)
	data = binary.AppendUvarint(data, d.base)
	var list []byte
	for _, h := range slices.Sorted(maps.Keys(d.postings)) {
		list = list[:0]
		before := uint64(0)
		for _, offset := range d.postings[h] {
			list = binary.AppendUvarint(list, offset-before)
			before = offset
		}
		data = binary.BigEndian.AppendUint32(data, h)
		data = binary.AppendUvarint(data, uint64(len(list)))
		data = append(data, list...)
	}
	return data
}

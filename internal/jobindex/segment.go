package jobindex

import (
	"encoding/binary"
	"errors"
	"slices"
)

// ErrDamaged is that of a segment that cannot be read.
var ErrDamaged = errors.New("a segment of the job index is damaged, or of a later version")

// segment is a segment that can be searched.
type segment struct {
	salt   Salt
	base   uint64
	hashes []uint32
	// lists are the postings of each hash, as they were written.
	lists [][]byte
}

// decode reads the data of a segment. It keeps data.
func decode(data []byte) (*segment, error) {
	s := &segment{}
	if len(data) < 1+len(s.salt) || data[0] != formatVersion {
		return nil, ErrDamaged
	}
	copy(s.salt[:], data[1:])
	data = data[1+len(s.salt):]
	var n int
	if s.base, n = binary.Uvarint(data); n <= 0 {
		return nil, ErrDamaged
	}
	for data = data[n:]; len(data) > 0; {
		if len(data) < 5 {
			return nil, ErrDamaged
		}
		h := binary.BigEndian.Uint32(data)
		size, n := binary.Uvarint(data[4:])
		data = data[4:]
		if last := len(s.hashes) - 1; n <= 0 || size == 0 || size > uint64(len(data)-n) || last >= 0 && s.hashes[last] >= h {
			return nil, ErrDamaged
		}
		list := data[n : n+int(size)]
		if list[size-1] >= 0x80 { // the last number does not end
			return nil, ErrDamaged
		}
		s.hashes, s.lists = append(s.hashes, h), append(s.lists, list)
		data = data[n+int(size):]
	}
	return s, nil
}

// find gives the sequences of the events that may have a term, ascending.
func (s *segment) find(t Term) []uint64 {
	i, ok := slices.BinarySearch(s.hashes, s.salt.hash(t))
	if !ok {
		return nil
	}
	var found []uint64
	at := s.base
	for list := s.lists[i]; len(list) > 0; {
		step, n := binary.Uvarint(list)
		if n <= 0 {
			return found // more than 64 bits: no such event
		}
		at += step
		found, list = append(found, at), list[n:]
	}
	return found
}

// Any are terms of which an event needs one.
type Any []Term

// match gives the sequences of the events that may have one term of each, ascending.
// There is at least one.
func (s *segment) match(all []Any) (found []uint64) {
	for i, any := range all {
		var some []uint64
		for _, t := range any {
			some = append(some, s.find(t)...)
		}
		slices.Sort(some)
		some = slices.Compact(some)
		if i > 0 {
			some = common(found, some)
		}
		if found = some; len(found) == 0 {
			return nil
		}
	}
	return found
}

// common gives what is in both lists, which are ascending.
func common(a, b []uint64) []uint64 {
	return slices.DeleteFunc(a, func(n uint64) bool { _, in := slices.BinarySearch(b, n); return !in })
}

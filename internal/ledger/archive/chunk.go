package archive

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"time"
)

// Record is one record of the bucket, at one revision.
type Record struct {
	Key   string
	Value []byte
	// Revision is the sequence of the record in the bucket's stream, and Stored
	// when the server stored it. Together they tell it from every other, also in a
	// bucket that was made again.
	Revision uint64
	Stored   time.Time
}

// A chunk is encoded as: a mark, the version, the size of the records, the
// records compressed by DEFLATE, and the CRC-32C of all that. A record is its
// key, revision, time (nanoseconds since 1970) and value; key and value begin
// with their size.
const (
	chunkMark = 'C'
	// mostRecords and enoughBytes say when a chunk is full: a lookup decompresses
	// a whole chunk. Records are some 500 bytes, so a chunk is some 60 kB.
	mostRecords = 256
	enoughBytes = 256 << 10
	// mostChunkBytes is what a decoder takes: full, and then one more record of the
	// greatest size that NATS carries.
	mostChunkBytes = 64 << 20
)

func encodeChunk(records []Record) ([]byte, error) {
	var raw []byte
	for _, r := range records {
		raw = binary.AppendUvarint(raw, uint64(len(r.Key)))
		raw = append(raw, r.Key...)
		raw = binary.AppendUvarint(raw, r.Revision)
		raw = binary.AppendVarint(raw, r.Stored.UnixNano())
		raw = binary.AppendUvarint(raw, uint64(len(r.Value)))
		raw = append(raw, r.Value...)
	}
	var packed bytes.Buffer
	packed.Write(binary.AppendUvarint([]byte{chunkMark, formatVersion}, uint64(len(raw))))
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return seal(packed.Bytes()), nil
}

func decodeChunk(data []byte) ([]Record, error) {
	body, err := unseal(data, chunkMark)
	if err != nil {
		return nil, err
	}
	header := reader{rest: body}
	size := header.uvarint()
	if header.err != nil || size > mostChunkBytes {
		return nil, errFormat
	}
	var raw bytes.Buffer
	unpacked := flate.NewReader(bytes.NewReader(header.rest))
	if _, err := io.Copy(&raw, io.LimitReader(unpacked, int64(size)+1)); err != nil {
		return nil, err
	}
	if uint64(raw.Len()) != size {
		return nil, errFormat
	}
	r := reader{rest: raw.Bytes()}
	var records []Record
	for len(r.rest) > 0 {
		record := Record{Key: string(r.take(r.uvarint(), 1)), Revision: r.uvarint(), Stored: r.time(), Value: r.take(r.uvarint(), 1)}
		records = append(records, record)
	}
	return records, r.end()
}

func (r *reader) time() time.Time {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail(errCut)
		return time.Time{}
	}
	r.rest = r.rest[size:]
	return time.Unix(0, n)
}

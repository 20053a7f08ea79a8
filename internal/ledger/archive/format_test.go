package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func groupOf(run runID, number uint32, fingerprints ...uint32) group {
	g := group{chunk: chunkID{run, number}}
	for _, f := range fingerprints {
		g.fingerprints = binary.BigEndian.AppendUint32(g.fingerprints, f)
	}
	return g
}

func TestPagesAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]page{
		"empty":       {groups: []group{}},
		"one":         {groups: []group{groupOf(7, 0, 1)}},
		"equal":       {groups: []group{groupOf(7, 300, 5, 5, 5)}},
		"several":     {groups: []group{groupOf(1<<63, 1<<31, 0, 1<<32-1), groupOf(2, 2, 9), groupOf(1<<63, 5, 3, 4)}},
		"none inside": {groups: []group{{chunk: chunkID{1, 1}, fingerprints: []byte{}}}},
	} {
		got, err := decodePage(p.encode())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: read %+v, %v; want %+v", name, got, err, p)
		}
	}
}

func TestDamagedPagesAreRefused(t *testing.T) {
	t.Parallel()
	good := page{groups: []group{groupOf(7, 0, 1, 2, 3), groupOf(8, 1, 4)}}.encode()
	for i := range good {
		spoiled := bytes.Clone(good)
		spoiled[i] ^= 0x10
		if p, err := decodePage(spoiled); err == nil {
			t.Errorf("byte %d is spoiled and the page is read as %+v", i, p)
		}
		if p, err := decodePage(good[:i]); err == nil {
			t.Errorf("of the page only %d bytes are left and it is read as %+v", i, p)
		}
	}
	inner := bytes.Clone(good[:len(good)-checksumSize])
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"another mark":      {append([]byte{chunkMark}, inner[1:]...), errFormat},
		"another version":   {append([]byte{pageMark, 9}, inner[2:]...), errFormat},
		"more at its end":   {append(bytes.Clone(inner), 0), errFormat},
		"too many groups":   {append([]byte{pageMark, formatVersion, 0xff, 0xff, 0xff, 0x7f}, inner[3:]...), errCut},
		"not in order":      {groupBody(groupOf(1, 1, 2, 1)), errFormat},
		"a number too long": {append([]byte{pageMark, formatVersion, 1, 0, 0, 0, 0, 0, 0, 0, 1}, 0xff, 0xff, 0xff, 0xff, 0x7f, 0), errFormat},
	} {
		if _, err := decodePage(seal(c.body)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func groupBody(g group) []byte {
	b := page{groups: []group{g}}.encode()
	return b[:len(b)-checksumSize]
}

func TestFind(t *testing.T) {
	t.Parallel()
	p := page{groups: []group{groupOf(1, 0, 1, 5, 9), groupOf(1, 1, 5), groupOf(2, 0, 0, 1<<32-1), groupOf(3, 0)}}
	for fingerprint, want := range map[uint32][]chunkID{
		0: {{2, 0}}, 1: {{1, 0}}, 2: nil, 5: {{1, 1}, {1, 0}}, 9: {{1, 0}}, 10: nil, 1<<32 - 1: {{2, 0}},
	} {
		if got := p.find(fingerprint); !slices.Equal(got, want) {
			t.Errorf("%d is in %v, want %v", fingerprint, got, want)
		}
	}
}

func TestPagesForgetRunsAndTakeGroupsOnce(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	early, late := newRunID(at(1000), 1), newRunID(at(2000), 2)
	p := page{groups: []group{groupOf(early, 0, 1), groupOf(late, 0, 2)}}
	for _, c := range []struct {
		before time.Time
		want   []chunkID
	}{
		{time.Time{}, []chunkID{{early, 0}, {late, 0}, {late, 1}}},
		{at(1000), []chunkID{{early, 0}, {late, 0}, {late, 1}}},
		{at(1001), []chunkID{{late, 0}, {late, 1}}},
		{at(3000), []chunkID{{late, 1}}},
	} {
		next := p.with([]group{groupOf(late, 0, 2), groupOf(late, 1, 3)}, c.before)
		var got []chunkID
		for _, g := range next.groups {
			got = append(got, g.chunk)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("before %s: %v, want %v", c.before.UTC(), got, c.want)
		}
	}
}

var someRecords = []Record{
	{Key: "a", Value: []byte(`{"phase":"accepted"}`), Revision: 1, Stored: time.Unix(1_800_000_000, 123).Local()},
	{Key: "ward.job-" + strings.Repeat("x", 300), Value: bytes.Repeat([]byte("value "), 1000), Revision: 1 << 60, Stored: time.Unix(0, -5).Local()},
	{Key: "", Value: []byte{}, Revision: 0, Stored: time.Unix(0, 0).Local()},
}

func TestChunksAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for n := range len(someRecords) + 1 {
		data, err := encodeChunk(someRecords[:n])
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeChunk(data)
		if err != nil || len(got) != n || n > 0 && !reflect.DeepEqual(got, someRecords[:n]) {
			t.Errorf("read %+v, %v; want %+v", got, err, someRecords[:n])
		}
	}
}

func TestDamagedChunksAreRefused(t *testing.T) {
	t.Parallel()
	good, err := encodeChunk(someRecords)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		spoiled := bytes.Clone(good)
		spoiled[i] ^= 0x10
		if _, err := decodeChunk(spoiled); err == nil {
			t.Errorf("byte %d is spoiled and the chunk is read", i)
		}
		if _, err := decodeChunk(good[:i]); err == nil {
			t.Errorf("of the chunk only %d bytes are left and it is read", i)
		}
	}
	body := good[2 : len(good)-checksumSize]
	size, n := binary.Uvarint(body)
	for name, claimed := range map[string]uint64{"too small": size - 1, "too large": size + 1, "huge": 1 << 60} {
		other := append(binary.AppendUvarint([]byte{chunkMark, formatVersion}, claimed), body[n:]...)
		if _, err := decodeChunk(seal(other)); !errors.Is(err, errFormat) {
			t.Errorf("a size that is %s: %v", name, err)
		}
	}
}

// TestPlacesSpread: pages hold about as many keys each.
func TestPlacesSpread(t *testing.T) {
	t.Parallel()
	counts := map[uint16]int{}
	const keys = 16 * pageCount
	for i := range keys {
		p := placeOf(fmt.Sprintf("ward.%d", i))
		if p != place(p.page())<<32|place(p.fingerprint()) {
			t.Fatalf("%x is not its page and fingerprint", p)
		}
		counts[p.page()]++
	}
	for number, n := range counts {
		if number >= pageCount || n > 64 {
			t.Errorf("page %d has %d keys, of 16 on average", number, n)
		}
	}
	if len(counts) < pageCount-10 {
		t.Errorf("%d pages of %d have keys", len(counts), pageCount)
	}
}

func TestBatchesAreWholePages(t *testing.T) {
	t.Parallel()
	var all []ripe
	add := func(page, n int) {
		for range n {
			all = append(all, ripe{place: place(page)<<32 | place(len(all))})
		}
	}
	add(0, 200)
	add(1, 100)
	add(2, 100)
	add(3, 300)
	add(4, 10)
	for _, want := range []int{200, 200, 256, 54} {
		if got := cut(all); got != want {
			t.Errorf("a batch has %d records, want %d", got, want)
		}
		all = all[want:]
	}
}

func FuzzDecodePage(f *testing.F) {
	f.Add(page{groups: []group{groupOf(7, 0, 1, 2, 3), groupOf(8, 1, 4)}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum would hide the decoder from the fuzzer.
		for _, data := range [][]byte{data, seal(append([]byte{pageMark, formatVersion}, data...))} {
			p, err := decodePage(data)
			if err != nil {
				continue
			}
			again, err := decodePage(p.encode())
			if err != nil || !reflect.DeepEqual(again, p) {
				t.Errorf("%x is read as %+v, and that as %+v, %v", data, p, again, err)
			}
		}
	})
}

func FuzzDecodeChunk(f *testing.F) {
	good, err := encodeChunk(someRecords)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[2 : len(good)-checksumSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, seal(append([]byte{chunkMark, formatVersion}, data...))} {
			records, err := decodeChunk(data)
			if err != nil {
				continue
			}
			written, err := encodeChunk(records)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decodeChunk(written)
			if err != nil || !reflect.DeepEqual(again, records) {
				t.Errorf("%x is read as %+v, and that as %+v, %v", data, records, again, err)
			}
		}
	})
}

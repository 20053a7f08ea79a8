package guard

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// fuzzContainer judges bytes as a container of one kind, of which all stands in
// a head that the kind needs, and holds the reading to its bounds.
func fuzzContainer(f *testing.F, head []byte, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s, int64(0))
		f.Add(s[:len(s)/2], int64(len(s)))
	}
	f.Fuzz(func(t *testing.T, data []byte, more int64) {
		if len(data) > len(head) {
			data = append(bytes.Clone(head), data[len(head):]...)
		}
		size := int64(len(data)) + max(0, more%(1<<32))
		var total, reads int64
		file := File{Key: "a", Size: size, Read: func(offset, length int64) ([]byte, error) {
			if offset < 0 || length <= 0 || offset+length > size {
				t.Fatalf("asks for %d bytes at %d of %d", length, offset, size)
			}
			total, reads = total+length, reads+1
			b := make([]byte, length)
			if offset < int64(len(data)) {
				copy(b, data[offset:])
			}
			return b, nil
		}}
		if _, err := (Policy{}).Judge(file); err != nil {
			safe(t, err)
		}
		if total > ReadLimit || reads > ReadsLimit {
			t.Fatalf("%d reads of %d bytes", reads, total)
		}
	})
}

func FuzzOLE(f *testing.F) {
	fuzzContainer(f, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
		makeOLE(2, nil, "WordDocument", "1Table"), makeOLEIn(2, 9, nil, append([]string{"Workbook"}, numbered("a", 20)...)...),
		makeOLE(2, nil, "PowerPoint Document", "Current User", "\x01Ole10Native"), circle(makeOLEIn(2, 9, nil, numbered("a", 20)...)))
}

func FuzzZip(f *testing.F) {
	fuzzContainer(f, []byte("PK\x03\x04"),
		makeOffice("word/document.xml"), makeODF("text"), makePackage("content.xml", "<x/>", "mimetype", "application/vnd.oasis.opendocument.text"),
		hideEntries(makeZip("a.txt", "[Content_Types].xml", "word/document.xml"), true))
}

func FuzzPDF(f *testing.F) {
	seeds := [][]byte{makePDF(500, ""), makePDF(500, "/Encrypt<</Filter/Standard/R 3/O(a)/U(b)>>"), makePDF(9, "/Prev 5/XRefStm 9/ID[<00><00>]")}
	for _, name := range glob(f, "testdata/encrypted/*.pdf") {
		seeds = append(seeds, read(f, name))
	}
	fuzzContainer(f, []byte("%PDF-"), seeds...)
}

// FuzzScan: a text that comes in pieces is seen as one that comes at once.
func FuzzScan(f *testing.F) {
	f.Add([]byte("Gr\xc3\xbc\xc3\x9fe \x00 \xe2\x82\xac \x7f \xf0\x9f\x98\x80 \x81"), uint8(3))
	f.Add([]byte("plain words, eight at a time\r\n\t\x1b"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		var s scanner
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(step)+1)
			s.add(rest[:n])
			rest = rest[n:]
		}
		s.end()
		var controls int64
		high := false
		for _, c := range data {
			if kinds[c] == control {
				controls++
			}
			high = high || c >= 0x80
		}
		if s.controls != controls || s.high != high || s.nul != (bytes.IndexByte(data, 0) >= 0) || s.bytes != int64(len(data)) {
			t.Fatalf("%+v of %d bytes, %d of them controls", s.facts, len(data), controls)
		}
		if s.broken == utf8.Valid(data) {
			t.Fatalf("broken %t of %q", s.broken, data)
		}
	})
}

// FuzzMarkup: neither markup nor mail headers stop the program, and a script is
// found whatever stands before it.
func FuzzMarkup(f *testing.F) {
	f.Add([]byte("<div><p class='x'>a</p><!-- "))
	f.Add([]byte("From: a\r\nTo: b\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ActiveNarrative(data)
		CarriesData(data)
		isMail(data)
		skipProlog(data)
		if !bytes.ContainsAny(data, "<&") && !ActiveNarrative(append(bytes.Clone(data), "<script>"...)) {
			t.Fatal("a script was not found")
		}
	})
}

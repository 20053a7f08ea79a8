package guard

import (
	"bytes"
	"strconv"
)

const (
	sectionLimit = 64 // revisions of a PDF that are followed
	objectSize   = 8 << 10
	// streamRead is the most bytes of a stream that are read, streamGives the
	// most that they give, and streamsGive the most of all streams.
	streamRead  = 256 << 10
	streamGives = 1 << 20
	streamsGive = 8 << 20
)

// pdfFile is a PDF whose objects are found by its cross-reference (ISO 32000-1,
// 7.5.4 to 7.5.8), wherever they lie.
type pdfFile struct {
	*view
	// base is where the header stands: offsets may count from there.
	base     int64
	sections []pdfSection
	// encrypt, id and root are what the newest section says.
	encrypt, root any
	id            pdfString
	// followed: every section up to the first one was found.
	followed bool
	streams  map[int64][]byte
	// given counts the bytes that streams gave.
	given int64
}

// pdfSection is one part of the cross-reference.
type pdfSection struct {
	tables []pdfTable
	// dict and stream are those of a cross-reference stream.
	dict   pdfDict
	stream int64
}

// pdfTable is a subsection: count entries of 20 bytes, of objects from first on.
type pdfTable struct{ first, count, at int64 }

func openPDF(v *view) *pdfFile {
	f := &pdfFile{view: v, base: max(0, int64(pdfStart(v.head))), streams: map[int64][]byte{}}
	i := bytes.LastIndex(v.tail, []byte("startxref"))
	if i < 0 {
		return f
	}
	l := pdfLexer{b: v.tail[i+len("startxref"):]}
	if at, ok := l.object(0); ok {
		if n, ok := at.(int64); ok {
			f.followed = f.follow(n)
		}
	}
	return f
}

// follow reads the section at an offset, and those before it.
func (f *pdfFile) follow(at int64) bool {
	seen := map[int64]bool{}
	todo := []int64{at}
	for len(todo) > 0 {
		at, todo = todo[0], todo[1:]
		if seen[at] {
			continue
		}
		if seen[at] = true; len(seen) > sectionLimit {
			return false
		}
		d, ok := f.section(at)
		if !ok && f.base > 0 {
			d, ok = f.section(at + f.base)
		}
		if !ok {
			return false
		}
		f.say(d)
		for _, key := range []string{"XRefStm", "Prev"} {
			if n, ok := d[key].(int64); ok {
				todo = append(todo, n)
			}
		}
	}
	return true
}

// say takes what a trailer says, where no newer one did.
func (f *pdfFile) say(d pdfDict) {
	if e := d["Encrypt"]; f.encrypt == nil && e != "null" {
		f.encrypt = e
	}
	if f.root == nil {
		f.root = d["Root"]
	}
	if a, ok := d["ID"].(pdfArray); ok && f.id == nil && len(a) > 0 {
		f.id, _ = a[0].(pdfString)
	}
}

// section reads the table or the stream at an offset, and gives its trailer.
func (f *pdfFile) section(at int64) (pdfDict, bool) {
	b := f.at(at, objectSize)
	l := pdfLexer{b: b}
	l.skip()
	if !l.prefix("xref") {
		d, stream, ok := f.objectAt(at, -1)
		dict, isDict := d.(pdfDict)
		if !ok || !isDict || dict["Type"] != pdfName("XRef") {
			return nil, false
		}
		f.sections = append(f.sections, pdfSection{dict: dict, stream: stream})
		return dict, true
	}
	var s pdfSection
	l.at += len("xref")
	at += int64(l.at)
	for range sectionLimit * 16 {
		l = pdfLexer{b: f.at(at, objectSize)}
		l.skip()
		if l.prefix("trailer") {
			l.at += len("trailer")
			d, ok := l.object(0)
			dict, isDict := d.(pdfDict)
			f.sections = append(f.sections, s)
			return dict, ok && isDict
		}
		first, err1 := strconv.ParseInt(l.word(), 10, 40)
		l.skip()
		count, err2 := strconv.ParseInt(l.word(), 10, 40)
		l.skip()
		if err1 != nil || err2 != nil || count < 0 {
			return nil, false
		}
		at += int64(l.at)
		s.tables = append(s.tables, pdfTable{first, count, at})
		at += 20 * count
	}
	return nil, false
}

// objectAt reads "n g obj" and the object behind it; number -1 takes any. stream
// is the offset of the object's stream, or 0.
func (f *pdfFile) objectAt(at, number int64) (v any, stream int64, ok bool) {
	for _, size := range []int64{objectSize, 8 * objectSize} {
		l := pdfLexer{b: f.at(at, size)}
		l.skip()
		n, err := strconv.ParseInt(l.word(), 10, 40)
		l.skip()
		l.word()
		l.skip()
		if err != nil || number >= 0 && n != number || l.word() != "obj" {
			return nil, 0, false
		}
		if v, ok = l.object(0); !ok {
			continue // it may go on
		}
		l.skip()
		if l.prefix("stream") {
			l.at += len("stream")
			if l.prefix("\r") {
				l.at++
			}
			if l.prefix("\n") {
				l.at++
			}
			stream = at + int64(l.at)
		}
		return v, stream, true
	}
	return nil, 0, false
}

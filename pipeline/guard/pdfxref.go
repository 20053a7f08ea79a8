package guard

import (
	"bytes"
	"compress/zlib"
	"io"
	"strconv"
)

const (
	sectionLimit = 64 // revisions of a PDF that are followed
	objectSize   = 8 << 10
	// streamRead is the most bytes of a stream that are read, streamGives the
	// most that they give.
	streamRead  = 256 << 10
	streamGives = 1 << 20
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

// resolve gives what a reference leads to, and any other object as it is.
func (f *pdfFile) resolve(v any) any {
	for range 8 {
		ref, ok := v.(pdfRef)
		if !ok {
			return v
		}
		v = f.lookup(ref.number)
	}
	return nil
}

func (f *pdfFile) dict(v any) pdfDict {
	d, _ := f.resolve(v).(pdfDict)
	return d
}

// lookup finds an object by its number.
func (f *pdfFile) lookup(number int64) any {
	for _, s := range f.sections {
		for _, t := range s.tables {
			if number < t.first || number >= t.first+t.count {
				continue
			}
			b := f.at(t.at+20*(number-t.first), 20)
			if len(b) < 18 || b[17] != 'n' {
				continue
			}
			at, err := strconv.ParseInt(string(b[:10]), 10, 64)
			if err != nil {
				continue
			}
			if v, ok := f.found(at, number); ok {
				return v
			}
		}
		if s.dict != nil {
			if v, ok := f.lookupStream(s, number); ok {
				return v
			}
		}
	}
	return nil
}

func (f *pdfFile) found(at, number int64) (any, bool) {
	v, _, ok := f.objectAt(at, number)
	if !ok && f.base > 0 {
		v, _, ok = f.objectAt(at+f.base, number)
	}
	return v, ok
}

// lookupStream finds an object by a cross-reference stream (7.5.8.3).
func (f *pdfFile) lookupStream(s pdfSection, number int64) (any, bool) {
	w := ints(s.dict["W"])
	if len(w) < 3 || w[0] < 0 || w[1] < 0 || w[2] < 0 || w[0]+w[1]+w[2] > 32 || w[0]+w[1]+w[2] == 0 {
		return nil, false
	}
	index := ints(s.dict["Index"])
	if len(index) < 2 {
		size, _ := s.dict["Size"].(int64)
		index = []int64{0, size}
	}
	width, row := w[0]+w[1]+w[2], int64(-1)
	for i, before := 0, int64(0); i+1 < len(index); i += 2 {
		if number >= index[i] && number < index[i]+index[i+1] {
			row = before + number - index[i]
		}
		before += index[i+1]
	}
	rows := f.decoded(s.dict, s.stream)
	if row < 0 || row > streamGives || (row+1)*width > int64(len(rows)) {
		return nil, false
	}
	b := rows[row*width:]
	kind := int64(1)
	if w[0] > 0 {
		kind = number64(b[:w[0]])
	}
	second, third := number64(b[w[0]:w[0]+w[1]]), number64(b[w[0]+w[1]:width])
	switch kind {
	case 1:
		return f.found(second, number)
	case 2:
		return f.inStream(second, third)
	}
	return nil, false
}

// inStream gives the object of that index in an object stream (7.5.7).
func (f *pdfFile) inStream(number, index int64) (any, bool) {
	if f.encrypt != nil {
		return nil, false // its bytes are encrypted
	}
	for _, s := range f.sections {
		at, ok := f.placeOf(s, number)
		if !ok {
			continue
		}
		d, stream, ok := f.objectAt(at, number)
		dict, isDict := d.(pdfDict)
		if !ok || !isDict || stream == 0 {
			return nil, false
		}
		b := f.decoded(dict, stream)
		first, _ := dict["First"].(int64)
		if first <= 0 || first > int64(len(b)) {
			return nil, false
		}
		l := pdfLexer{b: b[:first]}
		for range index {
			l.skip()
			l.word()
			l.skip()
			if l.word() == "" {
				return nil, false
			}
		}
		l.skip()
		l.word()
		l.skip()
		offset, err := strconv.ParseInt(l.word(), 10, 40)
		if err != nil || offset < 0 || first+offset > int64(len(b)) {
			return nil, false
		}
		l = pdfLexer{b: b[first+offset:]}
		return l.object(0)
	}
	return nil, false
}

// placeOf gives the offset of an object that lies in the file by itself.
func (f *pdfFile) placeOf(s pdfSection, number int64) (int64, bool) {
	w := ints(s.dict["W"])
	if len(w) < 3 {
		return 0, false
	}
	index := ints(s.dict["Index"])
	if len(index) < 2 {
		size, _ := s.dict["Size"].(int64)
		index = []int64{0, size}
	}
	rows, width := f.decoded(s.dict, s.stream), w[0]+w[1]+w[2]
	for i, before := 0, int64(0); i+1 < len(index); i += 2 {
		if number >= index[i] && number < index[i]+index[i+1] {
			row := before + number - index[i]
			if row < 0 || row > streamGives || width <= 0 || width > 32 || w[0] < 0 || w[1] < 0 || w[2] < 0 || (row+1)*width > int64(len(rows)) {
				return 0, false
			}
			b := rows[row*width:]
			if w[0] > 0 && number64(b[:w[0]]) != 1 {
				return 0, false
			}
			return number64(b[w[0] : w[0]+w[1]]), true
		}
		before += index[i+1]
	}
	return 0, false
}

// decoded gives a stream's bytes, as far as streamGives.
func (f *pdfFile) decoded(d pdfDict, at int64) []byte {
	if b, ok := f.streams[at]; ok {
		return b
	}
	length := int64(streamRead)
	if n, ok := f.resolve(d["Length"]).(int64); ok && n >= 0 {
		length = min(length, n)
	}
	b := f.view.at(at, length)
	filter := d["Filter"]
	if a, ok := filter.(pdfArray); ok && len(a) == 1 {
		filter = a[0]
	}
	switch filter {
	case nil:
	case pdfName("FlateDecode"), pdfName("Fl"):
		r, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			b = nil
			break
		}
		b, _ = io.ReadAll(io.LimitReader(r, streamGives)) // what can be read of it
		parms := d["DecodeParms"]
		if a, ok := parms.(pdfArray); ok && len(a) > 0 {
			parms = a[0]
		}
		p, _ := f.resolve(parms).(pdfDict)
		if n, _ := p["Predictor"].(int64); n >= 10 {
			columns, ok := p["Columns"].(int64)
			if !ok {
				columns = 1
			}
			b = unpredict(b, columns)
		}
	default:
		b = nil
	}
	f.streams[at] = b
	return b
}

// unpredict undoes the predictors of PNG for rows of one-byte columns.
func unpredict(b []byte, columns int64) []byte {
	if columns < 1 || columns > 64<<10 {
		return nil
	}
	n := int(columns)
	before := make([]byte, n)
	out := make([]byte, 0, len(b))
	for ; len(b) > n; b = b[n+1:] {
		kind, row := b[0], bytes.Clone(b[1:n+1])
		for i := range row {
			var left, corner byte
			if i > 0 {
				left, corner = row[i-1], before[i-1]
			}
			switch kind {
			case 1:
				row[i] += left
			case 2:
				row[i] += before[i]
			case 3:
				row[i] += byte((int(left) + int(before[i])) / 2)
			case 4:
				row[i] += paeth(left, before[i], corner)
			}
		}
		out = append(out, row...)
		before = row
	}
	return out
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	da, db, dc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case da <= db && da <= dc:
		return a
	case db <= dc:
		return b
	}
	return c
}

func abs(n int) int { return max(n, -n) }

func number64(b []byte) (n int64) {
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n & (1<<62 - 1)
}

// ints gives an array of numbers that are not negative; nil for anything else.
func ints(v any) []int64 {
	a, _ := v.(pdfArray)
	list := make([]int64, 0, len(a))
	for _, e := range a {
		n, ok := e.(int64)
		if !ok || n < 0 || n > 1<<40 {
			return nil
		}
		list = append(list, n)
	}
	return list
}

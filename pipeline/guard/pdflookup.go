package guard

import "strconv"

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

// lookupStream finds an object by a cross-reference stream.
func (f *pdfFile) lookupStream(s pdfSection, number int64) (any, bool) {
	kind, second, third, ok := f.row(s, number)
	switch {
	case ok && kind == 1:
		return f.found(second, number)
	case ok && kind == 2:
		return f.inStream(second, third)
	}
	return nil, false
}

// row gives what a cross-reference stream says of an object: its kind, and two
// numbers (7.5.8.3).
func (f *pdfFile) row(s pdfSection, number int64) (kind, second, third int64, ok bool) {
	w := ints(s.dict["W"])
	if len(w) < 3 || w[0]+w[1]+w[2] > 32 || w[0]+w[1]+w[2] == 0 {
		return 0, 0, 0, false
	}
	index := ints(s.dict["Index"])
	if len(index) < 2 {
		size, _ := s.dict["Size"].(int64)
		index = []int64{0, size}
	}
	width, row := w[0]+w[1]+w[2], int64(-1)
	for i, before := 0, int64(0); i+1 < len(index) && row < 0; i += 2 {
		if number >= index[i] && number < index[i]+index[i+1] {
			row = before + number - index[i]
		}
		before += index[i+1]
	}
	rows := f.decoded(s.dict, s.stream)
	if row < 0 || row > streamGives || (row+1)*width > int64(len(rows)) {
		return 0, 0, 0, false
	}
	b := rows[row*width:]
	kind = 1
	if w[0] > 0 {
		kind = number64(b[:w[0]])
	}
	return kind, number64(b[w[0] : w[0]+w[1]]), number64(b[w[0]+w[1] : width]), true
}

// inStream gives the object of that index in an object stream (7.5.7).
func (f *pdfFile) inStream(number, index int64) (any, bool) {
	if f.encrypt != nil {
		return nil, false // its bytes are encrypted
	}
	for _, s := range f.sections {
		kind, at, _, ok := f.row(s, number)
		if !ok || kind != 1 {
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

package guard

import (
	"bytes"
	"compress/zlib"
	"io"
)

// decoded gives a stream's bytes, as far as streamGives.
func (f *pdfFile) decoded(d pdfDict, at int64) []byte {
	if b, ok := f.streams[at]; ok {
		return b
	}
	if f.given >= streamsGive {
		f.over = true
		return nil
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
		f.given += int64(len(b))
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

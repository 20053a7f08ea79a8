package guard

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// judgePDF applies the rules for PDF: to what its cross-reference leads to,
// wherever that lies, and to what stands in clear at its start and end (ISO
// 32000-1, 7.5).
func (p Policy) judgePDF(v *view) error {
	if launches(v.head) || launches(v.tail) {
		return refuse(CodeActive, pdfType)
	}
	f := openPDF(v)
	locked := f.encrypt != nil || !f.followed && (encrypts(v.head) || encrypts(v.tail))
	switch {
	case locked && p.holds(CodeEncrypted) && !f.opens():
		return refuse(CodeEncrypted, pdfType)
	case p.holds(CodeTruncated) && pdfCut(v):
		return refuse(CodeTruncated, pdfType)
	case v.over:
		return refuse(CodeBeyond, "")
	case locked:
		return nil // names and actions are encrypted
	}
	root := f.dict(f.root)
	if f.startsProgram(root) {
		return refuse(CodeActive, pdfType)
	}
	if code := f.attached(root); code != "" {
		return refuse(code, pdfType)
	}
	if v.over {
		return refuse(CodeBeyond, "")
	}
	return nil
}

// opens reports whether the document opens without a password.
func (f *pdfFile) opens() bool {
	d, ok := f.encrypt.(pdfDict)
	if ref, isRef := f.encrypt.(pdfRef); isRef {
		if d, ok = f.resolve(ref).(pdfDict); !ok {
			d, ok = f.inClear(ref)
		}
	}
	if !ok {
		return false
	}
	whole := pdfDict{}
	for key, value := range d {
		whole[key] = f.resolve(value)
	}
	return opensWithoutPassword(whole, f.id)
}

// inClear looks for an object in what is seen of the file's start and end.
func (f *pdfFile) inClear(ref pdfRef) (pdfDict, bool) {
	mark := fmt.Appendf(nil, "%d %d obj", ref.number, ref.generation)
	for _, b := range [][]byte{f.tail, f.head} {
		if i := bytes.LastIndex(b, mark); i >= 0 {
			l := pdfLexer{b: b[i+len(mark):]}
			v, _ := l.object(0)
			d, ok := v.(pdfDict)
			return d, ok
		}
	}
	return nil, false
}

// startsProgram reports whether an action that runs by itself starts a program
// (12.6.3 and 12.6.4.5).
func (f *pdfFile) startsProgram(root pdfDict) bool {
	actions := []any{root["OpenAction"]}
	for _, a := range f.dict(root["AA"]) {
		actions = append(actions, a)
	}
	for n := 0; n < len(actions) && n < 32; n++ {
		a := f.dict(actions[n])
		if a["S"] == pdfName("Launch") {
			return true
		}
		switch next := f.resolve(a["Next"]).(type) {
		case pdfDict:
			actions = append(actions, next)
		case pdfArray:
			actions = append(actions, next...)
		}
	}
	return false
}

// attachedLimit is the most nodes of the tree of attached files that are read.
const attachedLimit = 64

// attached judges the names of the files that are attached to a PDF (7.11.4).
func (f *pdfFile) attached(root pdfDict) string {
	todo := []any{f.dict(root["Names"])["EmbeddedFiles"]}
	for n := 0; n < len(todo) && n < attachedLimit; n++ {
		node := f.dict(todo[n])
		kids, _ := f.resolve(node["Kids"]).(pdfArray)
		todo = append(todo, kids[:min(len(kids), attachedLimit)]...)
		names, _ := f.resolve(node["Names"]).(pdfArray)
		for i := 1; i < len(names) && i < 2*attachedLimit; i += 2 {
			spec := f.dict(names[i])
			for _, key := range []string{"UF", "F"} {
				name, _ := f.resolve(spec[key]).(pdfString)
				plain := strings.ToLower(string(narrowed(name)))
				if code := attachmentName(plain[strings.LastIndexAny(plain, `/\`)+1:]); code != "" {
					return code
				}
			}
		}
	}
	return ""
}

// encrypts reports whether a trailer names an encryption dictionary: /Encrypt
// with a reference or a dictionary behind it, and near it what makes its
// surroundings a trailer (7.5.5) or a cross-reference stream (7.5.8).
func encrypts(b []byte) bool {
	const reach = 2048
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("/Encrypt"))
		if n < 0 {
			return false
		}
		at := i + n
		i = at + len("/Encrypt")
		near := b[max(0, at-reach):min(len(b), at+reach)]
		if (reference(b[i:]) || bytes.HasPrefix(bytes.TrimLeft(b[i:min(len(b), i+16)], blanks), []byte("<<"))) &&
			(bytes.Contains(near, []byte("trailer")) || bytes.Contains(near, []byte("/XRef"))) {
			return true
		}
	}
}

// reference reports whether b starts with "n g R".
func reference(b []byte) bool {
	fields := bytes.Fields(bytes.Map(func(r rune) rune {
		if r == 0 {
			return ' '
		}
		return r
	}, b[:min(len(b), 64)]))
	if len(b) == 0 || !bytes.ContainsAny(b[:1], blanks) || len(fields) < 3 {
		return false
	}
	return digits(fields[0]) && digits(fields[1]) && fields[2][0] == 'R'
}

func digits(b []byte) bool {
	_, err := strconv.ParseUint(string(b), 10, 40)
	return err == nil
}

// launches reports whether an action that starts a program is seen (12.6.4.5).
func launches(b []byte) bool {
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte("/Launch"))
		if n < 0 {
			return false
		}
		at := i + n
		i = at + len("/Launch")
		if bytes.HasSuffix(bytes.TrimRight(b[:at], blanks), []byte("/S")) && (i == len(b) || !letter(b[i])) {
			return true
		}
	}
}

// pdfCut reports whether the end of a PDF is missing. Readers put up with bytes
// behind the end mark, and with a missing mark where the place of the
// cross-reference is given.
func pdfCut(v *view) bool {
	if length, ok := linearLength(v.head); ok && v.size < length {
		return true
	}
	end := bytes.LastIndex(v.tail, []byte("%%EOF"))
	if end < 0 {
		return !bytes.Contains(v.tail, []byte("startxref"))
	}
	// Objects behind the last end mark belong to a revision that has none.
	rest := v.tail[end:]
	return bytes.Contains(rest, []byte(" obj")) && !bytes.Contains(rest, []byte("startxref"))
}

// linearLength gives the length that a linearized PDF says it has (Annex F).
func linearLength(head []byte) (int64, bool) {
	head = head[:min(len(head), 1024)]
	i := bytes.Index(head, []byte("/Linearized"))
	if i < 0 {
		return 0, false
	}
	dict, _, ok := bytes.Cut(head[i:], []byte(">>"))
	if !ok {
		return 0, false
	}
	for {
		n := bytes.Index(dict, []byte("/L"))
		if n < 0 {
			return 0, false
		}
		dict = dict[n+2:]
		f := bytes.TrimLeft(dict, blanks)
		end := bytes.IndexFunc(f, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(f)
		}
		if length, err := strconv.ParseInt(string(f[:end]), 10, 64); err == nil {
			return length, true
		}
	}
}

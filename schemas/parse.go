package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how many objects and arrays may be open at once, the outermost
// included. FHIR resources stay far below it; the bound keeps a hostile job
// from exhausting the stack of whoever reads it.
const MaxDepth = 64

// step is one segment of a path through a document.
type step struct {
	name    string
	index   int
	inArray bool
}

// maxGathered is how many keys that are there twice, and how many broken rules
// of the schema, become Problems; the others are not even counted.
const maxGathered = 100

// outline is what the validator gets to see of a document: the places where the
// schema looks, and there at most maxKept or so of a kind.
type outline struct {
	root any
	// offsets are where the values of pointers begin, of fields where their
	// names end.
	offsets map[string]int64
	// cuts are of the arrays and objects that are there in part, by pointer.
	cuts map[string]cut
}

// parser reads a document, and notes what JSON itself allows but a contract
// must not: a key twice, a nesting without end.
type parser struct {
	data []byte
	dec  *jsontext.Decoder
	path []step
	// spots become the document's offsets.
	spots    []spot
	cuts     map[string]cut
	problems []Problem
	// twice counts the problems that are keys twice.
	twice    int
	contract *contract
	// quiet: it is only to be learned whether there is a problem.
	quiet bool
}

type spot struct {
	pointer string
	at      int64
}

// parse gives the document, or the problems that kept it from being one.
// Problems beside a document (duplicate keys) do not stop the schema's check.
func parse(data []byte, c *contract) (doc *outline, problems []Problem) {
	if !utf8.Valid(data) {
		return nil, []Problem{{Code: "not_utf8", Text: "is not UTF-8: encode the document as UTF-8 without a byte order mark"}}
	}
	p := &parser{data: data, contract: c, dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), cuts: map[string]cut{}}
	root, ok := p.value(c.shape)
	if !ok {
		return nil, p.problems
	}
	at := p.dec.InputOffset()
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		p.report(at, "trailing_data", fmt.Sprintf("has more after the end of the document at byte %d: send one document", at), "")
	}
	offsets := make(map[string]int64, len(p.spots))
	for _, s := range p.spots {
		offsets[s.pointer] = s.at
	}
	return &outline{root: root, offsets: offsets, cuts: p.cuts}, p.problems
}

// parseQuietly gives the document's root; false where parse would find a problem.
func parseQuietly(data []byte, c *contract) (root any, ok bool) {
	if depth(data) > MaxDepth {
		return nil, false
	}
	// By its defaults the decoder refuses invalid UTF-8 and a key twice.
	p := &parser{data: data, contract: c, quiet: true, dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	if root, ok = p.value(c.shape); !ok {
		return nil, false
	}
	_, err := p.dec.ReadToken()
	return root, errors.Is(err, io.EOF)
}

// value reads one value; false means that nothing after it can be read.
func (p *parser) value(at *shape) (any, bool) {
	if p.quiet && at == nil {
		return nil, p.dec.SkipValue() == nil
	}
	tok, err := p.dec.ReadToken()
	if err != nil {
		return p.syntax(err)
	}
	if n := len(p.path); at != nil && (n == 0 || p.path[n-1].inArray) {
		p.note()
	}
	switch kind := tok.Kind(); {
	case kind == '{':
		return p.object(at)
	case kind == '[':
		return p.array(at)
	case at == nil:
		return nil, true
	}
	return scalar(tok), true
}

func scalar(tok jsontext.Token) any {
	switch tok.Kind() {
	case '"':
		return tok.String()
	case '0':
		return number(tok.String())
	case 't', 'f':
		return tok.Bool()
	}
	return nil
}

func (p *parser) object(at *shape) (any, bool) {
	if p.tooDeep() {
		return nil, false
	}
	// named are the keys so far; true marks those that are there twice.
	object, named := newFields(at), map[string]bool(nil)
	if !p.quiet {
		named = map[string]bool{}
	}
	for p.dec.PeekKind() == '"' {
		tok, err := p.dec.ReadToken()
		if err != nil {
			return p.syntax(err)
		}
		name := tok.String()
		p.path = append(p.path, step{name: name})
		var inside *shape
		keep := false
		if !p.again(name, named) {
			inside, keep = object.look(name)
		}
		if p.quiet && object.extra > maxKept {
			return nil, false // the first of them are refused already
		}
		if keep {
			p.note()
		}
		v, ok := p.value(inside)
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		if keep {
			object.kept[name] = v
		}
	}
	p.cut(object.cut())
	return p.end(object.kept)
}

// again reports whether the object has the key already.
func (p *parser) again(name string, named map[string]bool) bool {
	if p.quiet {
		return false // the decoder has refused it
	}
	reported, twice := named[name]
	if twice && !reported && p.twice < maxGathered {
		p.twice++
		p.report(p.dec.InputOffset(), "duplicate_key", "is in the object twice: keep one", name)
	}
	named[name] = twice
	return twice
}

func (p *parser) array(at *shape) (any, bool) {
	if p.tooDeep() {
		return nil, false
	}
	array := newItems(at)
	for i := 0; ; i++ {
		if k := p.dec.PeekKind(); k == ']' || k == 0 {
			p.cut(array.cut())
			return p.end(array.kept)
		}
		p.path = append(p.path, step{index: i, inArray: true})
		inside, noted := array.look(), len(p.spots)
		v, ok := p.value(inside)
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		if !array.add(v, inside) {
			p.spots = p.spots[:noted]
		}
	}
}

// note keeps where the value, or the key, that was just read is.
func (p *parser) note() {
	if p.quiet {
		return
	}
	p.spots = append(p.spots, spot{pointer: pointer(p.path), at: p.dec.InputOffset()})
}

// cut keeps what is true of the array or object that was just read.
func (p *parser) cut(c cut, is bool) {
	if is && !p.quiet {
		p.cuts[pointer(p.path)] = c
	}
}

// end reads the closing token.
func (p *parser) end(v any) (any, bool) {
	if _, err := p.dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	return v, true
}

func (p *parser) tooDeep() bool {
	if p.dec.StackDepth() <= MaxDepth {
		return false
	}
	p.report(p.dec.InputOffset(), "too_deep", fmt.Sprintf("nests more than %d objects and arrays: flatten it", MaxDepth), "")
	return true
}

// syntax reports where the JSON breaks; the library's text is dropped because
// it quotes the input.
func (p *parser) syntax(err error) (any, bool) {
	at := p.dec.InputOffset()
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = s.ByteOffset
	}
	line, column := position(p.data, at)
	text := fmt.Sprintf("is not valid JSON at line %d, column %d (byte %d)", line, column, at)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = fmt.Sprintf("ends in line %d, after %d bytes, before its JSON does: send the whole document", line, at)
	}
	p.report(at, "not_json", text, "")
	return nil, false
}

// position gives the line and the column of the byte at an offset, each from 1. The column
// counts characters.
func position(data []byte, at int64) (line, column int) {
	before := data[:min(max(at, 0), int64(len(data)))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

func (p *parser) report(at int64, code, text, key string) {
	if p.quiet {
		return
	}
	p.problems = append(p.problems, Problem{Path: p.contract.path(p.path), Code: code, Text: text, key: &key, at: at})
}

// number keeps a number for the validator, which does exact arithmetic: one
// with a huge exponent would cost it gigabytes. No number of the contract
// needs more than 20 digits, so the others stand in as "no integer".
func number(s string) any {
	if len(s) > 20 || bytes.ContainsAny([]byte(s), "eE") {
		return json.Number("0.5")
	}
	return json.Number(s)
}

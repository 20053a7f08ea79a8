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

// parser turns JSON into the values the validator takes, and notes what JSON
// itself allows but a contract must not: a key twice, a nesting without end.
type parser struct {
	dec      *jsontext.Decoder
	path     []step
	problems []Problem
	contract *contract
}

// parse gives the document, or the problems that kept it from being one.
// Problems beside a document (duplicate keys) do not stop the schema's check.
func parse(data []byte, c *contract) (doc any, problems []Problem, ok bool) {
	if !utf8.Valid(data) {
		return nil, []Problem{{Code: "not_utf8", Text: "is not UTF-8: encode the document as UTF-8 without a byte order mark"}}, false
	}
	p := &parser{contract: c, dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))}
	doc, ok = p.value()
	if !ok {
		return nil, p.problems, false
	}
	at := p.dec.InputOffset()
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		p.report(at, "trailing_data", fmt.Sprintf("has more after the end of the document at byte %d: send one document", at), nil)
		return doc, p.problems, false
	}
	return doc, p.problems, true
}

// value reads one value; false means that nothing after it can be read.
func (p *parser) value() (any, bool) {
	tok, err := p.dec.ReadToken()
	if err != nil {
		return p.syntax(err)
	}
	switch tok.Kind() {
	case '{':
		return p.object()
	case '[':
		return p.array()
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

func (p *parser) object() (any, bool) {
	if p.tooDeep() {
		return nil, false
	}
	obj := map[string]any{}
	for p.dec.PeekKind() == '"' {
		tok, err := p.dec.ReadToken()
		if err != nil {
			return p.syntax(err)
		}
		name := tok.String()
		_, twice := obj[name]
		p.path = append(p.path, step{name: name})
		if twice {
			p.report(p.dec.InputOffset(), "duplicate_key", "is in the object twice: keep one", &name)
		}
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		if !twice {
			obj[name] = v
		}
	}
	return p.end(obj)
}

func (p *parser) array() (any, bool) {
	if p.tooDeep() {
		return nil, false
	}
	arr := []any{}
	for {
		if k := p.dec.PeekKind(); k == ']' || k == 0 {
			return p.end(arr)
		}
		p.path = append(p.path, step{index: len(arr), inArray: true})
		v, ok := p.value()
		if !ok {
			return nil, false
		}
		p.path = p.path[:len(p.path)-1]
		arr = append(arr, v)
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
	p.report(p.dec.InputOffset(), "too_deep", fmt.Sprintf("nests more than %d objects and arrays: flatten it", MaxDepth), nil)
	return true
}

// syntax reports where the JSON breaks; the library's text is dropped because
// it quotes the input.
func (p *parser) syntax(err error) (any, bool) {
	at := p.dec.InputOffset()
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = s.ByteOffset
	}
	text := fmt.Sprintf("is not valid JSON at byte %d", at)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = fmt.Sprintf("ends after %d bytes before its JSON does: send the whole document", at)
	}
	p.report(at, "not_json", text, nil)
	return nil, false
}

func (p *parser) report(at int64, code, text string, key *string) {
	p.problems = append(p.problems, Problem{Path: p.contract.path(p.path), Code: code, Text: text, key: key, at: at})
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

package schemas

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// skim is the quick way to the common answer: it tells whether data keeps the
// contract, building only what the schema looks at. It refuses exactly what
// parse, check and rules together find a problem in; those say which.
func (k *contract) skim(data []byte, rules func(doc map[string]any) []Problem) bool {
	if depth(data) > MaxDepth {
		return false
	}
	// By its defaults the decoder refuses invalid UTF-8 and a key twice.
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	doc, err := skimValue(dec, k.shape)
	if err != nil {
		return false
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return false
	}
	if k.root.Validate(doc) != nil {
		return false
	}
	object, ok := doc.(map[string]any)
	return rules == nil || ok && len(rules(object)) == 0
}

func skimValue(dec *jsontext.Decoder, at *shape) (any, error) {
	if at == nil {
		return nil, dec.SkipValue()
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '{':
		return skimObject(dec, at)
	case '[':
		return skimArray(dec, at)
	}
	return scalar(tok), nil
}

func skimObject(dec *jsontext.Decoder, at *shape) (any, error) {
	object := map[string]any{}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		inside, look := at.field(name)
		v, err := skimValue(dec, inside)
		if err != nil {
			return nil, err
		}
		if look {
			object[name] = v
		}
	}
	_, err := dec.ReadToken()
	return object, err
}

func skimArray(dec *jsontext.Decoder, at *shape) (any, error) {
	array := []any{}
	for dec.PeekKind() != ']' {
		v, err := skimValue(dec, at.items)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	_, err := dec.ReadToken()
	return array, err
}

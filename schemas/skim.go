package schemas

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// skim is the quick way to the common answer: it tells whether data keeps the
// contract, building only what the schema looks at. It refuses exactly what
// judge finds a problem in without further rules.
func (k *contract) skim(data []byte) bool {
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
	return k.root.Validate(doc) == nil
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
	object := newFields(at)
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		inside, keep := object.look(name)
		v, err := skimValue(dec, inside)
		if err != nil {
			return nil, err
		}
		if keep {
			object.kept[name] = v
		}
	}
	_, err := dec.ReadToken()
	return object.kept, err
}

func skimArray(dec *jsontext.Decoder, at *shape) (any, error) {
	array := newItems(at)
	for dec.PeekKind() != ']' {
		inside := array.look()
		v, err := skimValue(dec, inside)
		if err != nil {
			return nil, err
		}
		array.add(v, inside)
	}
	_, err := dec.ReadToken()
	return array.kept, err
}

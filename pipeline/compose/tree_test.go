package compose_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is JSON read by a reader of the tests' own. Only scalars have raw.
type tree struct {
	kind  jsontext.Kind
	raw   string
	names []string
	elems []*tree
}

func readTree(t *testing.T, raw []byte) *tree {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	var read func() *tree
	read = func() *tree {
		n := &tree{kind: dec.PeekKind()}
		if n.kind != '{' && n.kind != '[' {
			v, err := dec.ReadValue()
			if err != nil {
				t.Fatal(err)
			}
			n.raw = string(v)
			return n
		}
		dec.ReadToken()
		for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
			if n.kind == '{' {
				name, err := dec.ReadValue()
				if err != nil {
					t.Fatal(err)
				}
				n.names = append(n.names, string(name))
			}
			n.elems = append(n.elems, read())
		}
		dec.ReadToken()
		return n
	}
	return read()
}

func (n *tree) member(name string) *tree {
	if n == nil {
		return nil
	}
	for i, k := range n.names {
		if u, _ := jsontext.AppendUnquote(nil, k); string(u) == name {
			return n.elems[i]
		}
	}
	return nil
}

package compose

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep a message may nest. FHIR sets no bound; real resources
// stay far below, and the walks over the tree recurse.
const maxDepth = 200

// maxValues is how many JSON values a message may have. Each costs some hundred
// bytes of memory while the message is built, and a job has room for half a
// million; a message as large as a job may be, of real resources, has some
// fifty thousand.
const maxValues = 100_000

type kind uint8

const (
	kindObject kind = iota + 1
	kindArray
	kindString
	// kindOther is a number, true, false or null.
	kindOther
	// kindFile is the place of a file's base64; it is never parsed.
	kindFile
)

// node is one JSON value that forgets nothing but the whitespace around it: a
// scalar keeps the bytes that were read.
type node struct {
	kind    kind
	raw     []byte
	members []member
	elems   []*node
	file    int
}

type member struct {
	// name is the key as written, with its quotes; key is what it means.
	name  []byte
	key   string
	value *node
}

var (
	errTrailing = errors.New("more than one JSON value")
	errDepth    = errors.New("JSON nested too deeply")
	errValues   = errors.New("JSON of too many values")
)

// parse reads exactly one JSON value. Duplicate keys, invalid UTF-8 and lone
// surrogates are errors: Redox and we could read them differently.
func parse(raw []byte) (*node, error) {
	dec := decoders.Get().(*jsontext.Decoder)
	defer func() {
		dec.Reset(new(bytes.Buffer)) // it must not hold on to a message
		decoders.Put(dec)
	}()
	dec.Reset(bytes.NewBuffer(raw))
	r := reader{dec: dec, raw: raw}
	n, err := r.value()
	if err != nil {
		return nil, err
	}
	switch _, err := r.dec.ReadToken(); {
	case err == nil:
		return nil, errTrailing
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return n, nil
}

// decoders spares a new one for each message.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

type reader struct {
	dec *jsontext.Decoder
	raw []byte
	// nodes is room for some, so that not every one is made by itself.
	nodes []node
	// values counts those that were begun.
	values int
	// members and elems hold those of the containers that are being read.
	members []member
	elems   []*node
}

// nodesAtOnce is what a small message needs.
const nodesAtOnce = 32

func (r *reader) node(k kind) *node {
	if len(r.nodes) == 0 {
		r.nodes = make([]node, nodesAtOnce)
	}
	n := &r.nodes[0]
	r.nodes = r.nodes[1:]
	n.kind = k
	return n
}

// own is a copy with room for what the message still lacks.
func own[T any](read []T) []T {
	return append(make([]T, 0, len(read)+2), read...)
}

// scalar gives the bytes of the next value, in the caller's own buffer.
func (r *reader) scalar() ([]byte, error) {
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := r.dec.InputOffset()
	return r.raw[end-int64(len(v)) : end : end], nil
}

func (r *reader) value() (*node, error) {
	if r.dec.StackDepth() > maxDepth {
		return nil, errDepth
	}
	if r.values++; r.values > maxValues {
		return nil, errValues
	}
	switch r.dec.PeekKind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.leaf(kindString)
	default:
		return r.leaf(kindOther)
	}
}

func (r *reader) leaf(k kind) (*node, error) {
	n := r.node(k)
	var err error
	n.raw, err = r.scalar()
	return n, err
}

func (r *reader) object() (*node, error) {
	n, begin := r.node(kindObject), len(r.members)
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.scalar()
		if err != nil {
			return nil, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.members = append(r.members, member{name: name, key: unquote(name), value: v})
	}
	n.members = own(r.members[begin:])
	r.members = r.members[:begin]
	_, err := r.dec.ReadToken()
	return n, err
}

func (r *reader) array() (*node, error) {
	n, begin := r.node(kindArray), len(r.elems)
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	for k := r.dec.PeekKind(); k != ']' && k != jsontext.KindInvalid; k = r.dec.PeekKind() {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.elems = append(r.elems, v)
	}
	n.elems = slices.Clone(r.elems[begin:])
	r.elems = r.elems[:begin]
	_, err := r.dec.ReadToken()
	return n, err
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, raw)
	return string(b)
}

// get gives the member called key, nil where there is none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].key == key {
			return n.members[i].value
		}
	}
	return nil
}

// text gives a string's meaning; false for anything else.
func (n *node) text() (string, bool) {
	if n == nil || n.kind != kindString {
		return "", false
	}
	return unquote(n.raw), true
}

func (n *node) is(k kind) bool { return n != nil && n.kind == k }

// add puts a member of ours at the end of an object.
func (n *node) add(key string, value *node) {
	if n.members == nil {
		n.members = make([]member, 0, 2)
	}
	n.members = append(n.members, member{name: quote(key), key: key, value: value})
}

// given is get for a member that Redox's schemas type as a value or null: null
// says as little as no member.
func (n *node) given(key string) *node {
	v := n.get(key)
	if v.is(kindOther) && string(v.raw) == "null" {
		return nil
	}
	return v
}

// put sets a member, in its place where it is there.
func (n *node) put(key string, value *node) {
	for i := range n.members {
		if n.members[i].key == key {
			n.members[i].value = value
			return
		}
	}
	n.add(key, value)
}

// object makes an object of ours; with adds to it.
func object() *node { return &node{kind: kindObject} }

func (n *node) with(key string, value *node) *node {
	n.add(key, value)
	return n
}

func array(elems ...*node) *node { return &node{kind: kindArray, elems: elems} }

func text(s string) *node { return &node{kind: kindString, raw: quote(s)} }

func embedded(file int) *node { return &node{kind: kindFile, file: file} }

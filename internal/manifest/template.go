package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template/parse"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"github.com/chartpost/chartpost/schemas"
)

// Template is a job whose strings may hold expressions over the columns.
type Template struct {
	root   *node
	digest string
}

// node is a place of a template.
type node struct {
	// fields and items are of an object and an array; one that holds no
	// expression at all is static.
	fields []field
	items  []*node
	// static is JSON that is the same on every line.
	static []byte
	// parsed is a string with expressions.
	parsed []parse.Node
	pieces []piece
	object bool
	// where is the place in the template's file, for its author.
	where string
}

type field struct {
	name string
	// key is the name as JSON, with its colon.
	key   []byte
	value *node
}

// Digest is the SHA-256, in hex, of the template's file.
func (t *Template) Digest() string { return t.digest }

// ParseTemplate reads a template: one document of YAML, of which JSON is a part.
// All faults are in the error, each with its line.
func ParseTemplate(data []byte) (*Template, error) {
	if len(data) > schemas.MaxJobSize {
		return nil, fmt.Errorf("the template has more than the %d bytes of a job", schemas.MaxJobSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the template is empty")
	case err != nil:
		return nil, fmt.Errorf("the template is neither YAML nor JSON: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if !errors.Is(decoder.Decode(&second), io.EOF) {
		return nil, errors.New("the template holds more than one document")
	}
	p := &templateParser{}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("the template must be a map: the fields of a job")
	}
	t := &Template{root: p.node(root, 0), digest: digest(string(data))}
	return t, errors.Join(p.faults...)
}

type templateParser struct{ faults []error }

func (p *templateParser) fault(at *yaml.Node, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("template line %d: %s", at.Line, fmt.Sprintf(format, args...)))
}

func (p *templateParser) node(from *yaml.Node, depth int) *node {
	n := &node{where: fmt.Sprintf("template line %d", from.Line)}
	if depth >= schemas.MaxDepth {
		p.fault(from, "nests more than %d maps and lists", schemas.MaxDepth)
		return n
	}
	switch from.Kind {
	case yaml.MappingNode:
		p.object(n, from, depth)
	case yaml.SequenceNode:
		n.items = []*node{}
		for _, item := range from.Content {
			n.items = append(n.items, p.node(item, depth+1))
		}
		n.fold()
	case yaml.ScalarNode:
		p.scalar(n, from)
	default:
		p.fault(from, "anchors and aliases are not taken")
	}
	return n
}

func (p *templateParser) object(n *node, from *yaml.Node, depth int) {
	n.object = true
	seen := map[string]bool{}
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			p.fault(key, "a key must be a plain word")
		case strings.Contains(name, "{{"):
			p.fault(key, "a key cannot hold an expression")
		case seen[name]:
			p.fault(key, "%s is set twice", name)
		}
		seen[name] = true
		quoted, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			p.fault(key, "is not UTF-8")
		}
		n.fields = append(n.fields, field{name: name, key: append(quoted, ':'), value: p.node(value, depth+1)})
	}
	if depth > 0 {
		n.fold()
	}
}

// scalar takes a number and a boolean as JSON writes them; anything else that
// is not null is a string, YAML's dates too.
func (p *templateParser) scalar(n *node, from *yaml.Node) {
	plain := from.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch value := jsontext.Value(from.Value); {
	case plain && from.ShortTag() == "!!null":
		n.static = []byte("null")
		return
	case plain && (from.ShortTag() == "!!int" || from.ShortTag() == "!!float") && value.IsValid():
		n.static = []byte(from.Value)
		return
	case plain && from.ShortTag() == "!!bool":
		n.static = strconv.AppendBool(nil, strings.EqualFold(from.Value, "true"))
		return
	}
	if strings.Contains(from.Value, "{{") {
		nodes, err := syntax(from.Value)
		if err != nil {
			p.fault(from, "%v", err)
		}
		n.parsed = nodes
		return
	}
	var err error
	if n.static, err = jsontext.AppendQuote(nil, from.Value); err != nil {
		p.fault(from, "is not UTF-8")
	}
}

// fold makes an object or an array without expressions static.
func (n *node) fold() {
	for _, f := range n.fields {
		if f.value.static == nil {
			return
		}
	}
	for _, item := range n.items {
		if item.static == nil {
			return
		}
	}
	r := renderer{}
	r.container(n)
	n.static, n.fields, n.items = r.out, nil, nil
}

// bind gives a copy of the tree with every expression compiled against the
// columns.
func (n *node) bind(b *binder) *node {
	bound := *n
	bound.fields, bound.items = nil, nil
	for _, f := range n.fields {
		f.value = f.value.bind(b)
		bound.fields = append(bound.fields, f)
	}
	for _, item := range n.items {
		bound.items = append(bound.items, item.bind(b))
	}
	if n.parsed != nil {
		before := len(b.faults)
		var err error
		if bound.pieces, err = b.compile(n.parsed); err != nil {
			b.faults = append(b.faults, err)
		}
		for i := before; i < len(b.faults); i++ {
			b.faults[i] = fmt.Errorf("%s: %w", n.where, b.faults[i])
		}
	}
	return &bound
}

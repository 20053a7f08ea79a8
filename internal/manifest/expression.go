package manifest

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// An expression is what stands between {{ and }}: a pipeline in the syntax of
// Go's text/template, without its control structures. text/template itself is
// not used: it joins text, and here nothing is ever text inside JSON; and it
// finds an unknown column only when it runs.

// operand gives a value of one line.
type operand func(values []string) string

// step changes a value, or says what is wrong with it.
type step func(value string, values []string) (string, *Fault)

// kind is what a value becomes in JSON.
type kind int

const (
	asString kind = iota
	asNumber
	asBoolean
)

// optional is what an empty value leaves out.
type optional int

const (
	required optional = iota
	// alone leaves out the field, withParent the object or list around it.
	alone
	withParent
)

// piece is a part of a string of the template: text, or an expression.
type piece struct {
	literal string
	from    operand
	steps   []step
	// column is the first one the expression names, for faults.
	column   string
	kind     kind
	optional optional
}

// binder resolves the names of columns.
type binder struct {
	columns map[string]int
	// twice are names that more than one column has, used those asked for.
	twice, used map[string]bool
	faults      []error
}

func (b *binder) column(name string) operand {
	i, ok := b.columns[name]
	b.used[name] = true
	if !ok {
		b.faults = append(b.faults, fmt.Errorf("the manifest has no column %q", name))
		return func([]string) string { return "" }
	}
	if b.twice[name] {
		b.faults = append(b.faults, fmt.Errorf("the manifest has the column %q twice: rename one", name))
	}
	return func(values []string) string { return values[i] }
}

// syntax parses the expressions of a string.
func syntax(text string) ([]parse.Node, error) {
	names := map[string]any{}
	for name := range functions {
		names[name] = true
	}
	trees, err := parse.Parse("", text, "", "", names)
	if err != nil {
		_, said, _ := strings.Cut(err.Error(), ": ")
		_, said, _ = strings.Cut(said, ": ")
		return nil, errors.New(strings.TrimSpace(said))
	}
	if trees[""] == nil || trees[""].Root == nil {
		return nil, nil
	}
	if len(trees) > 1 {
		return nil, errors.New("an expression is a column and functions; {{define}} is not one")
	}
	return trees[""].Root.Nodes, nil
}

// compile makes pieces of a string's nodes.
func (b *binder) compile(nodes []parse.Node) ([]piece, error) {
	var pieces []piece
	for _, n := range nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			pieces = append(pieces, piece{literal: string(n.Text)})
		case *parse.ActionNode:
			p, err := b.pipeline(n.Pipe)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, *p)
		default:
			return nil, errors.New("an expression is a column and functions, like {{ .name | upper }}; it has no if, range or with")
		}
	}
	for _, p := range pieces {
		if p.kind != asString && len(pieces) > 1 {
			return nil, errors.New("a number or a boolean stands alone in its string")
		}
	}
	return pieces, nil
}

func (b *binder) pipeline(n *parse.PipeNode) (*piece, error) {
	if len(n.Decl) > 0 {
		return nil, errors.New("an expression has no variables")
	}
	p := &piece{}
	for i, command := range n.Cmds {
		if err := b.command(p, command.Args, i > 0); err != nil {
			return nil, err
		}
	}
	if p.from == nil {
		return nil, errors.New("an expression is empty")
	}
	return p, nil
}

// command adds one command of a pipeline to p.
func (b *binder) command(p *piece, args []parse.Node, piped bool) error {
	word, isName := args[0].(*parse.IdentifierNode)
	if !isName || word.Ident == "col" {
		if piped {
			return errors.New("behind | comes a function")
		}
		return b.source(p, args)
	}
	f, ok := functions[word.Ident]
	if !ok {
		return fmt.Errorf("there is no function %q", word.Ident)
	}
	literals, rest := split(args[1:], f.values)
	if len(literals) < f.least || f.most >= 0 && len(literals) > f.most {
		return fmt.Errorf("%s is used like %s", word.Ident, f.usage)
	}
	if err := b.arguments(p, rest, piped, f); err != nil {
		return fmt.Errorf("%s: %w", word.Ident, err)
	}
	if p.kind != asString && f.optional == required {
		return fmt.Errorf("%s cannot come behind number or bool", word.Ident)
	}
	s, err := f.make(literals)
	if err != nil {
		return fmt.Errorf("%s: %w", word.Ident, err)
	}
	if s != nil {
		p.steps = append(p.steps, s)
	}
	p.kind, p.optional = max(p.kind, f.kind), max(p.optional, f.optional)
	return nil
}

// split takes the literals from the front; a function of values has none.
func split(args []parse.Node, values bool) (literals []string, rest []parse.Node) {
	for i, a := range args {
		s, ok := a.(*parse.StringNode)
		if !ok || values {
			return literals, args[i:]
		}
		literals = append(literals, s.Text)
	}
	return literals, nil
}

// arguments are the values a function works on: the piped one, or its last
// argument; id takes more.
func (b *binder) arguments(p *piece, rest []parse.Node, piped bool, f function) error {
	if f.values {
		return b.joined(p, rest, piped)
	}
	switch {
	case piped && len(rest) == 0:
		return nil
	case !piped && len(rest) == 1:
		return b.source(p, rest)
	case !piped && len(rest) == 0:
		return errors.New("needs a column")
	}
	return errors.New("takes strings in double quotes and one column")
}

// joined makes one value of several, so that no two lists give the same.
func (b *binder) joined(p *piece, rest []parse.Node, piped bool) error {
	var all []operand
	for _, n := range rest {
		var part piece
		if err := b.source(&part, []parse.Node{n}); err != nil {
			return err
		}
		all = append(all, part.from)
		if p.column == "" {
			p.column = part.column
		}
	}
	if piped {
		return errors.New("takes its columns behind its name")
	}
	if len(all) == 0 {
		return errors.New("needs a column")
	}
	p.from = func(values []string) string {
		var joined strings.Builder
		for _, one := range all {
			s := one(values)
			if s == "" {
				return ""
			}
			fmt.Fprintf(&joined, "%d:%s", len(s), s)
		}
		return joined.String()
	}
	return nil
}

// source is where a value comes from: a column, a string, or a pipeline in
// parentheses.
func (b *binder) source(p *piece, args []parse.Node) error {
	switch n := args[0].(type) {
	case *parse.FieldNode:
		if len(args) == 1 {
			p.column = strings.Join(n.Ident, ".")
			p.from = b.column(p.column)
			return nil
		}
	case *parse.StringNode:
		if len(args) == 1 {
			p.from = func([]string) string { return n.Text }
			return nil
		}
	case *parse.IdentifierNode:
		if name, ok := last(args).(*parse.StringNode); ok && n.Ident == "col" && len(args) == 2 {
			p.column = name.Text
			p.from = b.column(p.column)
			return nil
		}
	}
	return errors.New(`a value is a column, like .name or col "a name", or a string in double quotes`)
}

func last(args []parse.Node) parse.Node { return args[len(args)-1] }

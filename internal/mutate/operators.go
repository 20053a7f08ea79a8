package main

import (
	"go/ast"
	"go/token"
	"strconv"
)

// operators collects the changes of one function.
type operators struct {
	set             *token.FileSet
	source          []byte
	short, function string
	found           []change
}

// swapped gives what takes the place of an operator: of a comparison its negation
// first, and then its neighboring boundary.
func swapped(op token.Token) []token.Token {
	switch op {
	case token.EQL:
		return []token.Token{token.NEQ}
	case token.NEQ:
		return []token.Token{token.EQL}
	case token.LSS:
		return []token.Token{token.GEQ, token.LEQ}
	case token.LEQ:
		return []token.Token{token.GTR, token.LSS}
	case token.GTR:
		return []token.Token{token.LEQ, token.GEQ}
	case token.GEQ:
		return []token.Token{token.LSS, token.GTR}
	case token.LAND:
		return []token.Token{token.LOR}
	case token.LOR:
		return []token.Token{token.LAND}
	case token.ADD:
		return []token.Token{token.SUB}
	case token.SUB:
		return []token.Token{token.ADD}
	case token.MUL:
		return []token.Token{token.QUO}
	case token.QUO:
		return []token.Token{token.MUL}
	default:
		return nil
	}
}

func (o *operators) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		for _, other := range swapped(n.Op) {
			o.replace("operator", n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			o.replace("negation", n.OpPos, n.X.Pos(), "")
		}
	case *ast.IfStmt:
		// A comparison's own operators say the same.
		if _, binary := n.Cond.(*ast.BinaryExpr); !binary {
			o.replace("condition", n.Cond.Pos(), n.Cond.End(), "!("+o.text(n.Cond)+")")
		}
	case *ast.BlockStmt:
		o.statements(n.List)
	case *ast.CaseClause:
		o.statements(n.Body)
	case *ast.CommClause:
		o.statements(n.Body)
	case *ast.ReturnStmt:
		o.results(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
				o.replace("number", n.Pos(), n.End(), strconv.FormatInt(v+1, 10))
			}
		}
	}
	return true
}

// statements removes each statement that only has an effect.
func (o *operators) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt:
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.BranchStmt:
			if s.Tok != token.CONTINUE && s.Tok != token.BREAK {
				continue
			}
		default:
			continue
		}
		o.replace("statement", s.Pos(), s.End(), "")
	}
}

// results changes what a function gives back.
func (o *operators) results(n *ast.ReturnStmt) {
	for i, result := range n.Results {
		name, ok := result.(*ast.Ident)
		if !ok {
			continue
		}
		switch {
		case name.Name == "true":
			o.replace("result", result.Pos(), result.End(), "false")
		case name.Name == "false":
			o.replace("result", result.Pos(), result.End(), "true")
		case name.Name == "err" && i == len(n.Results)-1:
			o.replace("result", result.Pos(), result.End(), "nil")
		}
	}
}

func (o *operators) text(n ast.Node) string {
	return string(o.source[o.offset(n.Pos()):o.offset(n.End())])
}

func (o *operators) offset(p token.Pos) int { return o.set.Position(p).Offset }

// replace notes a change. It shows the whole line, so that a reader sees what it does.
func (o *operators) replace(operator string, from, to token.Pos, by string) {
	at := o.set.Position(from)
	begin, end := at.Offset, o.offset(to)
	left, right := lineAround(o.source, begin, end)
	o.found = append(o.found, change{
		short: o.short, function: o.function, line: at.Line, begin: begin, end: end, operator: operator,
		was: string(o.source[left:right]), is: string(o.source[left:begin]) + by + string(o.source[end:right]),
	})
}

// lineAround gives the bounds of the lines that hold a range.
func lineAround(source []byte, begin, end int) (left, right int) {
	left, right = begin, end
	for left > 0 && source[left-1] != '\n' {
		left--
	}
	for right < len(source) && source[right] != '\n' {
		right++
	}
	return left, right
}

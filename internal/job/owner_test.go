package job_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/chartpost/chartpost/"
	own    = module + "internal/job"
	// measure makes up records to fill a ledger with; no job has them.
	measure = module + "internal/ledger/measure"
)

// TestOnlyThisPackageWritesRecords: no other package of the program assigns a field of
// a record, takes its address, or makes a record by hand.
func TestOnlyThisPackageWritesRecords(t *testing.T) {
	exports, sources := packages(t)
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	checked := 0
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		if path == own || path == measure {
			continue
		}
		var files []*ast.File
		for _, name := range sources[path] {
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{}}
		if _, err := (&types.Config{Importer: imports}).Check(path, fset, files, info); err != nil {
			t.Fatal(err)
		}
		checked++
		for _, file := range files {
			for _, at := range writes(file, info) {
				t.Errorf("%s: it writes a job's record: give internal/job a method for it", fset.Position(at))
			}
		}
	}
	if checked < 6 {
		t.Errorf("only %d packages know of records", checked)
	}
}

// packages gives the export file of every package that the module needs, and the
// sources of those that import this one.
func packages(t *testing.T) (exports map[string]string, sources map[string][]string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", `{{.ImportPath}};{{.Export}};{{.Dir}};{{join .Imports " "}};{{join .GoFiles " "}}`, "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports, sources = map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(out)) {
		part := strings.Split(strings.TrimSpace(line), ";")
		exports[part[0]] = part[1]
		if strings.HasPrefix(part[0], module) && slices.Contains(strings.Fields(part[3]), own) {
			for _, name := range strings.Fields(part[4]) {
				sources[part[0]] = append(sources[part[0]], filepath.Join(part[2], name))
			}
		}
	}
	return exports, sources
}

// writes finds where a file writes to a record or to what is in it.
func writes(file *ast.File, info *types.Info) (found []token.Pos) {
	target := func(e ast.Expr) {
		if s, ok := ast.Unparen(e).(*ast.SelectorExpr); ok && info.Selections[s] != nil && isRecord(info.Selections[s].Recv()) {
			found = append(found, e.Pos())
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if element, ok := e.(*ast.IndexExpr); ok {
					e = element.X
				}
				target(e)
			}
		case *ast.IncDecStmt:
			target(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				target(n.X)
			}
		case *ast.CompositeLit:
			if len(n.Elts) > 0 && isRecord(info.TypeOf(n)) {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}

// isRecord reports whether a type is Record or a part of it that has a life of its own.
func isRecord(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == own &&
		slices.Contains([]string{"Record", "FileRecord", "Predecessor", "Suspicion"}, named.Obj().Name())
}

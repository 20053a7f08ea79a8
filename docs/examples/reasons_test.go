package examples

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources are the packages that name reasons, and what stands before the words
// of each in an event.
var sources = map[string]string{
	"worker": "", "pipeline": "", "pipeline/compose": "", "pipeline/guard": "",
	"internal/fault": "", "internal/s3source": "", "internal/redoxport": "", "internal/ledger": "",
	"internal/backfill": "", "internal/manifest": "", "redoxclient": "redox_", "schemas": "job_",
}

// unsaid are codes of the client that an event never has: the gate has a word of
// its own for each.
var unsaid = []string{"redox_status", "redox_unauthorized", "redox_token_refused", "redox_key_unusable"}

// TestEveryReasonIsDocumented reads the codes of all sources that ship, by the
// forms in which they are written there.
func TestEveryReasonIsDocumented(t *testing.T) {
	text := read(t, "../reasons.md")
	for folder, before := range sources {
		codes := codesOf(t, filepath.Join("..", "..", folder))
		if len(codes) == 0 {
			t.Errorf("%s: no code was found", folder)
		}
		for _, code := range slices.Sorted(maps.Keys(codes)) {
			if name := before + code; !strings.Contains(text, "`"+name+"`") && !slices.Contains(unsaid, name) {
				t.Errorf("docs/reasons.md does not tell of %s, at %s", name, codes[code])
			}
		}
	}
	for _, name := range []string{"resolved_by_operator", "upload_too_large", "redox_credentials"} {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/reasons.md does not tell of %s", name)
		}
	}
}

var codeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// codesOf are the codes in the sources of a folder, and where each is.
func codesOf(t *testing.T, folder string) map[string]token.Position {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	codes, files := map[string]token.Position{}, token.NewFileSet()
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, x := range codesIn(n) {
				if literal, ok := x.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if code, _ := strconv.Unquote(literal.Value); codeForm.MatchString(code) {
						codes[code] = files.Position(literal.Pos())
					}
				}
			}
			return true
		})
	}
	return codes
}

// codesIn are the places of n where a code may stand.
func codesIn(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.KeyValueExpr: // Code: "…"
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
			return []ast.Expr{n.Value}
		}
	case *ast.ValueSpec: // const codeX = "…", and a report's reasons
		if name := n.Names[0].Name; strings.HasPrefix(strings.ToLower(name), "code") || strings.HasPrefix(name, "reason") {
			return n.Values
		}
	case *ast.AssignStmt: // p.Code, p.Text = "…", …
		if left, ok := n.Lhs[0].(*ast.SelectorExpr); ok && left.Sel.Name == "Code" {
			return n.Rhs[:1]
		}
	case *ast.CallExpr: // ofFile("…", …), p.report(at, "…", …)
		switch name := called(n.Fun); {
		case name == "ofFile" || name == "ofStore" || name == "ofWorker":
			return n.Args[:1]
		case name == "passing" && len(n.Args) == 3: // passing(kind, "…", "…")
			return n.Args[1:2]
		case name == "report" && len(n.Args) > 1:
			return n.Args[1:2]
		}
	case *ast.FuncDecl: // the words of explainBound and codeOf are what they return
		if n.Name.Name == "explainBound" || n.Name.Name == "codeOf" {
			return returned(n)
		}
	}
	return nil
}

func called(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// returned are the first results of a function.
func returned(f *ast.FuncDecl) (results []ast.Expr) {
	ast.Inspect(f, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) > 0 {
			results = append(results, r.Results[0])
		}
		return true
	})
	return results
}

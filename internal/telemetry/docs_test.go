package telemetry

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const page = "../../docs/telemetry.md"

func readPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEveryMetricIsDocumented, and nothing else.
func TestEveryMetricIsDocumented(t *testing.T) {
	telemetry, _ := full(t)
	text := readPage(t)
	families := gather(t, telemetry)
	maps.Copy(families, gatherIntake(t))
	for name := range families {
		if strings.HasPrefix(name, "chartpost_") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/telemetry.md does not tell of %s", name)
		}
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '`' || r == ' ' || r == '\n' }) {
		if strings.HasPrefix(word, "chartpost_") && families[word] == nil {
			t.Errorf("docs/telemetry.md tells of %s, which is not exported", word)
		}
	}
}

// TestEveryLogKeyIsDocumented reads all calls of loggers in what ships: keys
// are few, are words in small letters, and stand in the page.
func TestEveryLogKeyIsDocumented(t *testing.T) {
	_, text, ok := strings.Cut(readPage(t), "\n## Logs\n")
	if !ok {
		t.Fatal("the page has no section of logs")
	}
	keys := logKeys(t)
	if len(keys) < 15 {
		t.Errorf("only %d keys were found", len(keys))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "" || !strings.Contains(text, "`"+key+"`") {
			t.Errorf("docs/telemetry.md does not tell of the key %q, at %s", key, keys[key])
		}
	}
}

// logKeys are the literal keys of calls like log.Info("…", "key", value), and
// where each is.
func logKeys(t *testing.T) map[string]token.Position {
	t.Helper()
	keys, files := map[string]token.Position{}, token.NewFileSet()
	for _, root := range []string{"../../worker", "../../pipeline", "../../redoxclient", "..", "../../cmd/chartpost"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			shipped := !strings.Contains(path, "redoxsim") && !strings.Contains(path, "devstack") && !strings.Contains(path, "faultlab")
			if err != nil || !shipped || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					for _, literal := range keysOf(call) {
						key, _ := strconv.Unquote(literal.Value)
						keys[key] = files.Position(literal.Pos())
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// keysOf are the keys of one call, if it is one of a logger.
func keysOf(call *ast.CallExpr) []*ast.BasicLit {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !isLogger(selector.X) {
		return nil
	}
	first := 1
	switch selector.Sel.Name {
	case "With":
		first = 0
	case "Debug", "Info", "Warn", "Error":
	default:
		return nil
	}
	var keys []*ast.BasicLit
	for i := first; i < len(call.Args); i += 2 {
		if literal, ok := call.Args[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			keys = append(keys, literal)
		}
	}
	return keys
}

// isLogger tells log, x.log and x.y.log.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log"
	}
	return false
}

package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What one reader can hold in the head. A struct or an interface beyond it needs a
// comment that says why, with the words "fields because" or "methods because".
const (
	mostFiles    = 20
	mostFields   = 12
	mostMethods  = 4
	mostEmbedded = 15
)

// stillAbove are the packages and types above a bound, and by how much. A number may go
// down and not up: lower it with the code, and remove what is within the bound.
var stillAbove = map[string]int{
	"fields of cmd/chartpost/backfill.runCmd":      17,
	"fields of cmd/chartpost/job.jobFlags":         14,
	"fields of cmd/chartpost/job.jobStatus":        22,
	"fields of cmd/chartpost/lane.budgetJSON":      15,
	"fields of internal/app.Spending":              13,
	"fields of internal/backfill.Run":              13,
	"fields of internal/backfill/planning.Options": 16,
	"fields of internal/bench.options":             14,
	"fields of internal/bench.stage":               14,
	"fields of internal/budget.Budget":             13,
	"fields of internal/budget.State":              13,
	"fields of internal/faultlab.Books":            14,
	"fields of internal/job.Record":                22,
	"fields of internal/natsq.Intake":              13,
	"fields of internal/natsq.Letter":              13,
	"fields of internal/natsq.coordinator":         19,
	"fields of internal/outcome.Times":             15,
	"fields of internal/outcome.Window":            16,
	"fields of internal/redoxsim.Config":           13,
	"fields of internal/redoxsim.Message":          17,
	"fields of internal/redoxsim.Server":           18,
	"fields of internal/redoxsim/platform.query":   13,
	"fields of internal/s3source.body":             13,
	"fields of internal/timeline.Summary":          16,
	"fields of redoxclient.Config":                 13,
	"fields of redoxclient.TokenConfig":            13,
	"fields of schemas.EventData":                  13,
	"fields of worker/lanes.Slot":                  13,
	"files of internal/app":                        21,
	"files of internal/backfill":                   22,
	"files of internal/bench":                      24,
	"files of internal/natsq":                      69,
	"files of internal/redoxsim":                   27,
	"files of pipeline/compose":                    27,
	"files of pipeline/guard":                      27,
	"files of redoxclient":                         29,
	"methods of pipeline.Progress":                 9,
	"methods of pipeline.Redox":                    5,
	"methods of worker.Delivery":                   11,
	"methods of worker.Intake":                     5,
	"reach of cmd/chartpost/backfill.runCmd":       21,
	"reach of cmd/chartpost/dead.desk":             20,
	"reach of cmd/chartpost/dead.dropCmd":          26,
	"reach of cmd/chartpost/dead.lsCmd":            18,
	"reach of cmd/chartpost/dead.replayCmd":        31,
	"reach of cmd/chartpost/dead.target":           17,
	"reach of cmd/chartpost/events.exportCmd":      19,
	"reach of cmd/chartpost/job.PreviewCmd":        22,
	"reach of cmd/chartpost/job.SendCmd":           25,
	"reach of internal/app.outcomeBudget":          21,
	"reach of internal/app.requests":               17,
	"reach of internal/backfill.Feeder":            21,
	"reach of internal/backfill.passing":           26,
	"reach of internal/backfill.search":            27,
	"reach of internal/backfill/status.Status":     19,
	"reach of internal/bench.trial":                22,
	"reach of internal/intake/web.API":             16,
	"reach of internal/job.recordForm":             24,
	"reach of internal/outcome.Job":                16,
	"reach of internal/outcome.jobForm":            18,
	"reach of internal/outcome.windowForm":         18,
	"reach of pipeline/guard.compound":             24,
	"reach of pipeline/guard.pdfFile":              26,
	"reach of pipeline/guard.view":                 17,
	"reach of redoxclient.Error":                   17,
	"reach of redoxclient.attempt":                 18,
}

// bound compares one size with its bound.
func bound(t *testing.T, what string, got, most int, do string) {
	t.Helper()
	known, ok := stillAbove[what]
	switch {
	case !ok && got > most:
		t.Errorf("%s: %d, at most %d: %s", what, got, most, do)
	case ok && got > known:
		t.Errorf("%s: %d, and it was %d: %s", what, got, known, do)
	case ok && got < known:
		t.Errorf("%s: %d, and stillAbove says %d: lower it there, or remove it", what, got, known)
	}
}

// source is a package with what is needed to check its types.
type source struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Export     string
}

// TestNothingIsTooLarge holds the bounds of packages, structs and interfaces. Tests do
// not count.
func TestNothingIsTooLarge(t *testing.T) {
	sources := withExports(t)
	exports := map[string]string{}
	for _, s := range sources {
		exports[s.ImportPath] = s.Export
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	checked := 0
	for _, s := range sources {
		name, ours := strings.CutPrefix(s.ImportPath, module+"/")
		if !ours {
			continue
		}
		checked++
		bound(t, "files of "+name, len(s.GoFiles), mostFiles, "make two packages of it")
		files := parse(t, fset, s)
		for _, file := range files {
			checkDeclarations(t, name, file)
		}
		checkEmbedding(t, name, fset, imports, files)
	}
	if checked < 30 {
		t.Fatalf("only %d packages were checked", checked)
	}
}

// checkDeclarations counts what is written in a struct or an interface.
func checkDeclarations(t *testing.T, pkg string, file *ast.File) {
	t.Helper()
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			one, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			doc := group.Doc.Text() + one.Doc.Text()
			switch body := one.Type.(type) {
			case *ast.StructType:
				if !says(doc, "fields because") {
					bound(t, "fields of "+pkg+"."+one.Name.Name, body.Fields.NumFields(), mostFields, `divide it, or say in its comment "… fields because …"`)
				}
			case *ast.InterfaceType:
				if !says(doc, "methods because") {
					bound(t, "methods of "+pkg+"."+one.Name.Name, body.Methods.NumFields(), mostMethods, `divide it, or say in its comment "… methods because …"`)
				}
			}
		}
	}
}

// says reports whether a comment has some words, also where a line ends between them.
func says(doc, phrase string) bool {
	return strings.Contains(strings.Join(strings.Fields(doc), " "), phrase)
}

// checkEmbedding counts the fields that a type has of its own and by embedding.
func checkEmbedding(t *testing.T, pkg string, fset *token.FileSet, imports types.Importer, files []*ast.File) {
	t.Helper()
	checked, err := (&types.Config{Importer: imports}).Check(module+"/"+pkg, fset, files, nil)
	if err != nil {
		t.Fatalf("%s: %v", pkg, err)
	}
	for _, name := range checked.Scope().Names() {
		object, ok := checked.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		body, ok := object.Type().Underlying().(*types.Struct)
		if !ok || !embeds(body) {
			continue
		}
		bound(t, "reach of "+pkg+"."+name, reach(body, map[*types.Struct]bool{}), mostEmbedded, "name what it needs in place of embedding")
	}
}

// embeds reports whether a struct embeds one of this project.
func embeds(body *types.Struct) bool {
	for field := range body.Fields() {
		if inner, ok := inside(field); ok && inner != nil {
			return true
		}
	}
	return false
}

// reach counts the fields that can be named on a value.
func reach(body *types.Struct, seen map[*types.Struct]bool) int {
	if seen[body] {
		return 0
	}
	seen[body] = true
	n := 0
	for field := range body.Fields() {
		n++
		if inner, ok := inside(field); ok {
			n += reach(inner, seen)
		}
	}
	return n
}

// inside is the struct of this project that a field embeds.
func inside(field *types.Var) (*types.Struct, bool) {
	if !field.Embedded() {
		return nil, false
	}
	of := field.Type()
	if pointer, ok := of.(*types.Pointer); ok {
		of = pointer.Elem()
	}
	named, ok := of.(*types.Named)
	if !ok || named.Obj().Pkg() == nil || !strings.HasPrefix(named.Obj().Pkg().Path(), module) {
		return nil, false
	}
	inner, ok := named.Underlying().(*types.Struct)
	return inner, ok
}

func parse(t *testing.T, fset *token.FileSet, s source) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range s.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(s.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// withExports lists all packages and what they import, with their export data.
func withExports(t *testing.T) []source {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", module+"/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as programs are built
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	var all []source
	for {
		var s source
		if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

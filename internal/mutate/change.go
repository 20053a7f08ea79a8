package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// change replaces one range of bytes of one file.
type change struct {
	// pkg is the import path, file the absolute path, and short the path below the
	// module's root.
	pkg, file, short string
	// function is where it is, so that its name outlives edits elsewhere.
	function   string
	line       int
	begin, end int
	operator   string
	was, is    string
}

// id names a change in the list of accepted ones. It has no line number.
func (c change) id() string {
	return fmt.Sprintf("%s %s %s: %s => %s", c.short, c.function, c.operator, oneLine(c.was), oneLine(c.is))
}

func (c change) String() string {
	return fmt.Sprintf("%s:%d %s %s\n\t- %s\n\t+ %s", c.short, c.line, c.function, c.operator, oneLine(c.was), oneLine(c.is))
}

// oneLine is a text in one line of bounded length.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 160 {
		s = s[:157] + "..."
	}
	return s
}

// listedPackage is what the go command says of a package.
type listedPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	Module          *struct{ Dir string }
}

// changesOfPackages gives all changes of the packages of a pattern.
func changesOfPackages(ctx context.Context, pattern string, files *regexp.Regexp) ([]change, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,GoFiles,Module", pattern)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var all []change
	dec := json.NewDecoder(out)
	for {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("go list: %w", err), cmd.Wait())
		}
		found, err := p.changes(files)
		if err != nil {
			return nil, errors.Join(err, cmd.Wait())
		}
		all = append(all, found...)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	return all, nil
}

func (p listedPackage) changes(files *regexp.Regexp) ([]change, error) {
	var all []change
	for _, name := range p.GoFiles {
		if !files.MatchString(name) {
			continue
		}
		path := filepath.Join(p.Dir, name)
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		short := path
		if p.Module != nil {
			if below, err := filepath.Rel(p.Module.Dir, path); err == nil {
				short = filepath.ToSlash(below)
			}
		}
		found, err := changesOfFile(short, source)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].pkg, found[i].file = p.ImportPath, path
		}
		all = append(all, found...)
	}
	return all, nil
}

// changesOfFile gives the changes of one file, in the order of its text.
func changesOfFile(short string, source []byte) ([]change, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, short, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []change
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		o := operators{set: set, source: source, short: short, function: fn.Name.Name}
		ast.Inspect(fn.Body, o.visit)
		all = append(all, o.found...)
	}
	return all, nil
}

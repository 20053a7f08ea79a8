// Command guardlab lets the content guard judge every file below a folder as a
// worker does, and shows what became of them by the type that their names say.
//
//	go run ./internal/guardlab [-v] DIR...
//
// It states nothing of a file's type, neither as a job nor as a store, so that
// the bytes alone decide. The names are those of the files: an ending may refuse
// one. The figures in docs/content-guard.md come from it.
package main

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/filetype"
	"github.com/chartpost/chartpost/pipeline/guard"
)

func main() {
	each := flag.Bool("v", false, "also a line for each file: ending, outcome, path")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "guardlab: name at least one folder")
		os.Exit(2)
	}
	t := tally{}
	for _, dir := range flag.Args() {
		if err := t.walk(dir, *each, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "guardlab:", err)
			os.Exit(1)
		}
	}
	if err := t.print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guardlab:", err)
		os.Exit(1)
	}
}

// tally counts the outcomes of each type.
type tally map[string]map[string]int

// walk judges the files below dir. Empty ones are none of the guard's business.
func (t tally) walk(dir string, each bool, out io.Writer) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		outcome, err := judge(path)
		if err != nil || outcome == "" {
			return err
		}
		kind := typeOf(path)
		if t[kind] == nil {
			t[kind] = map[string]int{}
		}
		t[kind][outcome]++
		if each {
			_, err = fmt.Fprintf(out, "%s\t%s\t%s\n", kind, outcome, path)
		}
		return err
	})
}

// judge gives the type that a file leaves as, or the code of its refusal; "" for
// an empty one.
func judge(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return "", err
	}
	verdict, err := guard.Policy{}.Judge(guard.File{Key: path, Size: info.Size(), Read: func(offset, length int64) ([]byte, error) {
		b := make([]byte, length)
		_, err := f.ReadAt(b, offset)
		return b, err
	}})
	switch code := fault.Of(err); {
	case err == nil:
		return verdict.ContentType, nil
	case code == nil:
		return "", err
	default:
		return code.Code, nil
	}
}

// typeOf gives the type that a file's ending stands for, or the ending.
func typeOf(path string) string {
	ending := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	for _, t := range filetype.Table() {
		if slices.Contains(t.Endings, ending) {
			return t.Name
		}
	}
	return "." + ending
}

// print shows a row for each type: how many files, how many of them left, and
// every outcome with its number.
func (t tally) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "type by name\tfiles\tleft\toutcomes")
	for _, kind := range sorted(t, func(m map[string]int) int { return sum(m, "") }) {
		outcomes := t[kind]
		var list []string
		for _, o := range sorted(outcomes, func(n int) int { return n }) {
			list = append(list, fmt.Sprintf("%s %d", o, outcomes[o]))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", kind, sum(outcomes, ""), sum(outcomes, "/"), strings.Join(list, ", "))
	}
	return w.Flush()
}

// sum counts the outcomes whose name has mark in it: a media type has a slash.
func sum(m map[string]int, mark string) (n int) {
	for outcome, count := range m {
		if strings.Contains(outcome, mark) {
			n += count
		}
	}
	return n
}

// sorted gives the keys of m, the greatest first.
func sorted[V any](m map[string]V, size func(V) int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if n := size(m[b]) - size(m[a]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return keys
}

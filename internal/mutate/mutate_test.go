package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `package sample

func Clamp(n int) int {
	if n > 9 {
		n = 9
	}
	return n
}
`

func TestChangesOfAFile(t *testing.T) {
	found, err := changesOfFile("sample.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found {
		got = append(got, c.id()+" | "+c.with([]byte(sample)))
	}
	want := []string{
		"sample.go Clamp operator: if n > 9 { => if n <= 9 { | <=",
		"sample.go Clamp operator: if n > 9 { => if n >= 9 { | >=",
		"sample.go Clamp number: if n > 9 { => if n > 10 { | 10",
		"sample.go Clamp statement: n = 9 =>  | ",
		"sample.go Clamp number: n = 9 => n = 10 | 10",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestARun: the tests of a small module kill all changes except one, which stays until
// the list of accepted survivors has it.
func TestARun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"go.mod":    "module example.com/sample\n\ngo 1.26\n",
		"sample.go": sample,
		"sample_test.go": `package sample

import "testing"

func TestClamp(t *testing.T) {
	for in, want := range map[int]int{0: 0, 8: 8, 10: 9, 11: 9} {
		if got := Clamp(in); got != want {
			t.Error(in, got)
		}
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := options{packages: ".", accepted: "accepted.txt", timeout: time.Minute}
	var out strings.Builder
	survived, err := mutate(t.Context(), o, &out)
	if err != nil {
		t.Fatal(err)
	}
	if survived != 1 || !strings.Contains(out.String(), "SURVIVED sample.go:4 Clamp operator") || !strings.Contains(out.String(), "4 killed of 5") {
		t.Errorf("%d survived:\n%s", survived, out.String())
	}
	if now, err := os.ReadFile("sample.go"); err != nil || string(now) != sample {
		t.Errorf("the source was changed: %s, %v", now, err)
	}

	line := "sample.go Clamp operator: if n > 9 { => if n >= 9 {\t9 gives 9 both ways\n"
	if err := os.WriteFile("accepted.txt", []byte("# equal programs\n"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if survived, err = mutate(t.Context(), o, &out); err != nil || survived != 0 || !strings.Contains(out.String(), "1 accepted survivors") {
		t.Errorf("%d survived, %v:\n%s", survived, err, out.String())
	}
}

func TestAnAcceptedSurvivorHasAReason(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accepted.txt")
	if err := os.WriteFile(path, []byte("sample.go Clamp operator: a => b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAccepted(path); err == nil || !strings.Contains(err.Error(), ":1: no reason") {
		t.Errorf("%v", err)
	}
}

func TestTheSeedAloneChoosesTheSample(t *testing.T) {
	all := make([]change, 20)
	for i := range all {
		all[i].line = i
	}
	first, again, other := draw(all, 5, 1), draw(all, 5, 1), draw(all, 5, 2)
	if len(first) != 5 || !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Errorf("%v %v %v", first, again, other)
	}
}

package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzReadYAML: no file makes it crash, and what is found has a place.
func FuzzReadYAML(f *testing.F) {
	for _, seed := range []string{"", "a: 1", "a: {b: [1, 2]}", "- a", "a: &x 1\nb: *x", "&x {a: *x}", "a: !!binary x", "---\n---\n", "? [a]\n: b", "a:\n\tb", "\xff", "<<: {a: 1}"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "file.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		found, faults := readYAML(path)
		for key, one := range found {
			if one.origin == "" || one.text != "" && one.list != nil {
				t.Errorf("%q: %+v", key, one)
			}
		}
		if slices.Contains(faults, nil) {
			t.Error("a fault that is none")
		}
	})
}

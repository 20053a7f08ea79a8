package fhircheck_test

import (
	"strconv"
	"strings"
	"testing"
)

// parent finds the object that holds the last member of a JSON pointer (RFC
// 6901), and that member's name.
func parent(t *testing.T, doc any, pointer string) (map[string]any, string) {
	t.Helper()
	steps := strings.Split(pointer, "/")[1:]
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	last := len(steps) - 1
	for _, s := range steps[:last] {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[s]
		case []any:
			i, err := strconv.Atoi(s)
			if err != nil || i < 0 || i >= len(v) {
				t.Fatalf("%s leads nowhere", pointer)
			}
			doc = v[i]
		}
	}
	object, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("%s leads nowhere", pointer)
	}
	return object, steps[last]
}

// remove fails when there is nothing to remove.
func remove(t *testing.T, doc any, pointer string) {
	t.Helper()
	object, name := parent(t, doc, pointer)
	if _, ok := object[name]; !ok {
		t.Fatalf("%s leads nowhere", pointer)
	}
	delete(object, name)
}

func set(t *testing.T, doc any, pointer string, value any) {
	t.Helper()
	object, name := parent(t, doc, pointer)
	object[name] = value
}

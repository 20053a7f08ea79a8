package compose_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/compose"
)

// nullables are the members that Redox's schemas type as a value or null, as pointers
// with * for each item, by operation.
func nullables(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/redox-nullable.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		for _, op := range words[1:] {
			all[op] = append(all[op], words[0])
		}
	}
	return all
}

// TestEveryNullableMemberMayBeNull walks the types of all operations of the Data Model:
// each member that may be null by Redox's schemas is taken as null, alone and with all
// the others.
func TestEveryNullableMemberMayBeNull(t *testing.T) {
	list := nullables(t)
	for _, op := range compose.Operations() {
		if op.API != compose.DataModel {
			continue
		}
		pointers := list[op.Name]
		if len(pointers) < 80 {
			t.Fatalf("%s has %d nullable members in the list", op.Name, len(pointers))
		}
		for _, alone := range append(slices.Clone(pointers), "") {
			chosen := []string{alone}
			if alone == "" {
				chosen = pointers
			}
			job, files := baseOf(t, op.Name)
			var message any
			if err := json.Unmarshal(job.Message, &message); err != nil {
				t.Fatal(err)
			}
			for _, pointer := range chosen {
				setNull(message, strings.Split(pointer, "/")[1:])
			}
			raw, err := json.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			job.Message = raw
			draft, err := compose.Composer{}.Draft(job)
			if err == nil {
				_, err = draft.Compose(files)
			}
			if err != nil {
				t.Errorf("%s: null at %q is refused: %v", op.Name, alone, err)
			}
		}
		delete(list, op.Name)
	}
	if len(list) > 0 {
		t.Errorf("the list has unknown operations: %q", slices.Collect(maps.Keys(list)))
	}
}

// setNull sets the member to null in every item, and makes what leads to it.
func setNull(value any, path []string) {
	next := func() any {
		if len(path) > 1 && path[1] == "*" {
			return []any{map[string]any{}}
		}
		return map[string]any{}
	}
	switch v := value.(type) {
	case []any: // path[0] is *
		for _, item := range v {
			setNull(item, path[1:])
		}
	case map[string]any:
		if len(path) == 1 {
			v[path[0]] = nil
			return
		}
		if v[path[0]] == nil {
			v[path[0]] = next()
		}
		setNull(v[path[0]], path[1:])
	}
}

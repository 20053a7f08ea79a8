//go:build redoxschemas

// The Data Model messages against the JSON Schemas (draft-04) that Redox
// published. The project keeps no copy of them, so this runs on demand, with a
// folder that holds notes/new.json, results/newunsolicited.json and so on:
//
//	go test -tags redoxschemas ./pipeline/compose -run Redox -redox-schemas DIR
package compose_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/chartpost/chartpost/pipeline/compose"
)

var redoxSchemas = flag.String("redox-schemas", "", "folder of the JSON Schemas of Redox's Data Models")

// beyondRedoxSchemas are the members in the golden files that the schemas do
// not name. They allow any, so a misspelt name shows only here.
var beyondRedoxSchemas = map[string][]string{
	// Redox's docs have it; it is younger than the schemas.
	"notes-new/minimal":       {"/Note/FileType"},
	"notes-new/no-source":     {"/Note/FileType"},
	"notes-replace/minimal":   {"/Note/FileType"},
	"notes-replace/given-ids": {"/Note/FileType"},
	// Unknown members of the caller's, passed through.
	"notes-new/as-written":      {"/Extensions", "/Meta/Destinations/0/Alias", "/Note/FileType", "/Note/reference"},
	"media-new/as-written":      {"/Media/Provider/Unknown", "/Meta/Logs"},
	"results-new/several-files": {"/Orders/1/Results/0/own"},
}

// TestRedoxSchemas checks that each message is valid, and that each member
// that the schema requires is missed when it is taken away.
func TestRedoxSchemas(t *testing.T) {
	if *redoxSchemas == "" {
		t.Fatal("-redox-schemas names no folder")
	}
	checked := 0
	for _, op := range compose.Operations() {
		if op.API != compose.DataModel {
			continue
		}
		schema := redoxSchema(t, op)
		for _, c := range goldenCases(t, op.Name) {
			for _, file := range []string{"upload.json", "embed.json"} {
				name := op.Name + "/" + filepath.Base(c.dir)
				t.Run(name+"/"+file, func(t *testing.T) {
					checkRedoxSchema(t, schema, name, filepath.Join(c.dir, file))
				})
				checked++
			}
		}
	}
	if checked == 0 {
		t.Fatal("there is no Data Model message")
	}
}

// TestRedoxNullables holds testdata/redox-nullable.txt to the schemas.
func TestRedoxNullables(t *testing.T) {
	list := nullables(t)
	for _, op := range compose.Operations() {
		if op.API != compose.DataModel {
			continue
		}
		var want []string
		var walk func(s *jsonschema.Schema, at string)
		walk = func(s *jsonschema.Schema, at string) {
			if s.Types != nil && len(s.Types.ToStrings()) > 1 && slices.Contains(s.Types.ToStrings(), "null") {
				want = append(want, at)
			}
			for name, member := range s.Properties {
				walk(member, at+"/"+name)
			}
			if items, ok := s.Items.(*jsonschema.Schema); ok {
				walk(items, at+"/*")
			}
		}
		walk(redoxSchema(t, op), "")
		slices.Sort(want)
		got := slices.Sorted(slices.Values(list[op.Name]))
		if !slices.Equal(got, want) {
			t.Errorf("%s: the list has %d members, the schema %d", op.Name, len(got), len(want))
		}
	}
}

func redoxSchema(t *testing.T, op compose.Operation) *jsonschema.Schema {
	t.Helper()
	file := filepath.Join(*redoxSchemas, strings.ToLower(op.Main), strings.ToLower(op.Event)+".json")
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	if schema.DraftVersion != 4 {
		t.Fatalf("%s is of draft %d", file, schema.DraftVersion)
	}
	return schema
}

func checkRedoxSchema(t *testing.T, schema *jsonschema.Schema, name, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Fatal(err)
	}
	w := schemaWalk{t: t, root: schema, doc: doc}
	w.walk(schema, doc, "")
	slices.Sort(w.unnamed)
	if want := beyondRedoxSchemas[name]; !slices.Equal(w.unnamed, want) {
		t.Errorf("members that the schema does not name: %q, want %q", w.unnamed, want)
	}
	if w.required == 0 {
		t.Error("the schema requires nothing")
	}
}

// schemaWalk goes through a valid document and its schema side by side. Of JSON
// Schema it knows what Redox uses: properties, required, and one schema for all
// items.
type schemaWalk struct {
	t    *testing.T
	root *jsonschema.Schema
	doc  any

	unnamed  []string // JSON pointers
	required int      // members that were taken away
}

func (w *schemaWalk) walk(schema *jsonschema.Schema, value any, at string) {
	switch v := value.(type) {
	case map[string]any:
		w.takeAway(schema, v, at)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if member, ok := schema.Properties[name]; ok {
				w.walk(member, v[name], at+"/"+name)
			} else {
				w.unnamed = append(w.unnamed, at+"/"+name)
			}
		}
	case []any:
		items, ok := schema.Items.(*jsonschema.Schema)
		if !ok {
			w.t.Fatalf("%s: the schema has no schema of items", at)
		}
		for i, item := range v {
			w.walk(items, item, at+"/"+strconv.Itoa(i))
		}
	}
}

// takeAway checks that the document is refused without each required member
// of object.
func (w *schemaWalk) takeAway(schema *jsonschema.Schema, object map[string]any, at string) {
	for _, name := range schema.Required {
		value := object[name]
		delete(object, name)
		if w.root.Validate(w.doc) == nil {
			w.t.Errorf("accepted without %s/%s", at, name)
		}
		object[name] = value
		w.required++
	}
}

package schemas

import (
	"strings"
	"testing"
)

func TestSchemasAreDocumented(t *testing.T) {
	for _, name := range Names() {
		root := loadSchema(t, name)
		if root["$id"] != "https://chartpost.github.io/schemas/"+name+".schema.json" || root["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: $id %v, $schema %v", name, root["$id"], root["$schema"])
		}
		document(t, name, root, root)
		for def, sch := range root.at("$defs") {
			document(t, name+" "+def, sch.(map[string]any), root)
		}
	}
}

// document wants words for whoever writes a job and for whoever broke a rule:
// a description everywhere, and a title where a message says "must be <title>".
func document(t *testing.T, where string, sch, root object) {
	if s, _ := sch["description"].(string); s == "" {
		t.Errorf("%s has no description", where)
	}
	for name, p := range sch.properties(root) {
		at := where + "." + name
		if p["pattern"] != nil || p["format"] != nil {
			if title, _ := p["title"].(string); title == "" || strings.HasSuffix(title, ".") {
				t.Errorf("%s: title %q does not complete the sentence \"must be …\"", at, title)
			}
		}
		document(t, at, p, root)
	}
}

func TestSchemaNames(t *testing.T) {
	for _, name := range []string{"", "job", "job.v2", "../schema.go", "job.v1.schema.json"} {
		if _, err := Schema(name); err == nil {
			t.Errorf("Schema(%q) is there", name)
		}
	}
}

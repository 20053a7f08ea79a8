package schemas

import (
	"encoding/json"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// object is the JSON Schema of an object, as far as these tests read it.
type object map[string]any

func (o object) at(path ...string) object {
	for _, name := range path {
		next, _ := o[name].(map[string]any)
		o = next
	}
	return o
}

// properties gives o's properties with their $ref resolved.
func (o object) properties(root object) map[string]object {
	all := map[string]object{}
	for name, p := range o.at("properties") {
		if sch, ok := p.(map[string]any); ok {
			all[name] = resolve(sch, root)
		}
	}
	return all
}

func resolve(sch, root object) object {
	if ref, ok := sch["$ref"].(string); ok {
		return root.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return sch
}

func stringsOf(v any) []string {
	var all []string
	list, _ := v.([]any)
	for _, s := range list {
		all = append(all, fmt.Sprint(s))
	}
	slices.Sort(all)
	return all
}

func loadSchema(t *testing.T, name string) object {
	t.Helper()
	data, err := Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestStructsFollowTheSchemas compares names and required-ness both ways.
func TestStructsFollowTheSchemas(t *testing.T) {
	job, event := loadSchema(t, "job.v1"), loadSchema(t, "event.v1")
	compareStruct(t, "job", reflect.TypeFor[Job](), job, job)
	compareStruct(t, "event", reflect.TypeFor[Event](), event, event)
	audit := loadSchema(t, "audit.v1")
	compareStruct(t, "audit", reflect.TypeFor[Audit](), audit, audit)
}

func compareStruct(t *testing.T, where string, typ reflect.Type, sch, root object) {
	t.Helper()
	if sch["additionalProperties"] != false {
		t.Errorf("%s takes any field", where)
	}
	properties := sch.properties(root)
	required := stringsOf(sch["required"])
	var fields []string
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, name)
		p, ok := properties[name]
		if !ok {
			t.Errorf("%s.%s is not in the schema", where, name)
			continue
		}
		optional := options == "omitempty" || options == "omitzero"
		if optional == slices.Contains(required, name) {
			t.Errorf("%s.%s: required is %v, the tag says %q", where, name, !optional, options)
		}
		compareType(t, where+"."+name, field.Type, p, root)
	}
	for name := range properties {
		if !slices.Contains(fields, name) {
			t.Errorf("%s.%s is not in %s", where, name, typ)
		}
	}
}

func compareType(t *testing.T, where string, typ reflect.Type, sch, root object) {
	t.Helper()
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Int64: "integer", reflect.Uint64: "integer", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object", reflect.Pointer: "object"}[typ.Kind()]
	switch typ.String() {
	case "time.Time":
		if sch["format"] != "date-time" {
			t.Errorf("%s is a time and not a date-time", where)
		}
		want = "string"
	case "json.RawMessage":
		want = "object"
	default:
		switch typ.Kind() {
		case reflect.Struct:
			compareStruct(t, where, typ, sch, root)
		case reflect.Pointer:
			compareStruct(t, where, typ.Elem(), sch, root)
		case reflect.Slice:
			items, _ := sch["items"].(map[string]any)
			compareType(t, where+"[]", typ.Elem(), resolve(items, root), root)
		}
	}
	got, has := sch["type"]
	if sch["enum"] == nil && sch["const"] == nil && (!has || got != want) {
		t.Errorf("%s has type %v, want %s", where, got, want)
	}
}

// constants reads the string constants of a type ("" for untyped) from Go
// source, so that a new one cannot be forgotten in the schema.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	parsed, err := goparser.ParseFile(token.NewFileSet(), file, nil, goparser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, decl := range parsed.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			name := ""
			if id, ok := value.Type.(*ast.Ident); ok {
				name = id.Name
			}
			for _, v := range value.Values {
				lit, ok := v.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || name != typ {
					continue
				}
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no constants of type %q", file, typ)
	}
	slices.Sort(all)
	return all
}

func statuses(t *testing.T) []Status {
	var all []Status
	for _, s := range constants(t, "event.go", "Status") {
		all = append(all, Status(s))
	}
	return all
}

func TestEnumsAreTheConstants(t *testing.T) {
	job, event := loadSchema(t, "job.v1"), loadSchema(t, "event.v1")
	properties := job.at("properties")
	data := event.at("$defs", "data", "properties")
	operations := slices.Sorted(slices.Values(Operations()))
	var types []string
	for _, s := range statuses(t) {
		types = append(types, EventType(s))
	}
	audit := loadSchema(t, "audit.v1").at("$defs", "data", "properties")
	var actions []string
	for _, a := range constants(t, "audit.go", "Action") {
		actions = append(actions, AuditType(Action(a)))
	}
	slices.Sort(actions)
	// A superseded worker tells nothing, so its kind never reaches an event.
	kinds := slices.DeleteFunc(constants(t, filepath.Join("..", "internal", "fault", "fault.go"), "Kind"),
		func(kind string) bool { return kind == "superseded" })
	for _, c := range []struct {
		what string
		enum object
		want []string
	}{
		{"operation constants", object{"enum": anys(operations)}, constants(t, "operation.go", "")},
		{"job operation", properties.at("operation"), operations},
		{"event operation", data.at("operation"), operations},
		{"environment", properties.at("destination", "properties", "environment"), constants(t, "job.go", "Environment")},
		{"transfer", properties.at("transfer"), constants(t, "job.go", "Transfer")},
		{"event transfer", event.at("$defs", "file", "properties", "transfer"), []string{string(Embed), string(Upload)}},
		{"class", data.at("class"), constants(t, "event.go", "Class")},
		{"status", data.at("status"), constants(t, "event.go", "Status")},
		{"type", event.at("properties", "type"), types},
		{"reason kind", event.at("$defs", "reason", "properties", "kind"), kinds},
		{"action", audit.at("action"), constants(t, "audit.go", "Action")},
		{"stage", audit.at("stage"), constants(t, "audit.go", "Stage")},
		{"audit type", loadSchema(t, "audit.v1").at("properties", "type"), actions},
	} {
		if got := stringsOf(c.enum["enum"]); !slices.Equal(got, c.want) {
			t.Errorf("%s: the schema has %q, Go has %q", c.what, got, c.want)
		}
	}
}

func anys(all []string) []any {
	var list []any
	for _, s := range all {
		list = append(list, s)
	}
	return list
}

// TestEveryOperationHasItsFamily: an operation in no branch of the schema
// would take any destination and any message.
func TestEveryOperationHasItsFamily(t *testing.T) {
	root := loadSchema(t, "job.v1")
	branches, _ := root["allOf"].([]any)
	count := map[string]int{}
	for _, b := range branches {
		branch := object(b.(map[string]any))
		if branch.at("then", "properties")["destination"] == nil {
			continue
		}
		for _, op := range stringsOf(branch.at("if", "properties", "operation")["enum"]) {
			count[op]++
		}
	}
	for _, op := range Operations() {
		if count[op] != 1 {
			t.Errorf("%s is in %d families", op, count[op])
		}
	}
	if len(count) != len(Operations()) {
		t.Errorf("families of %q", slices.Collect(maps.Keys(count)))
	}
}

// TestBoundsAgree holds Go's checks to the patterns of the schema.
func TestBoundsAgree(t *testing.T) {
	id := jobContract().root.Properties["id"]
	slug := jobContract().root.Properties["destination"].Properties["slug"]
	for _, s := range []string{"", "a", "_", "-", ".", "..", "a.b", ".a", "~", "a b", "é", "a\n", strings.Repeat("a", 128), strings.Repeat("a", 129)} {
		if (id.Validate(s) == nil) != ValidJobID(s) {
			t.Errorf("ValidJobID(%q) = %v", s, ValidJobID(s))
		}
		if (slug.Validate(s) == nil) != ValidAddress(s) {
			t.Errorf("ValidAddress(%q) = %v", s, ValidAddress(s))
		}
	}
	for _, prefix := range []string{"a", "a-1", "A", "1", "", "a_", strings.Repeat("a", 32), strings.Repeat("a", 33)} {
		source := eventContract().root.Properties["source"]
		if (source.Validate("/chartpost/"+prefix) == nil) != (CheckPrefix(prefix) == nil) {
			t.Errorf("CheckPrefix(%q) = %v", prefix, CheckPrefix(prefix))
		}
	}
}

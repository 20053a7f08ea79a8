package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// The modules whose files hold the schemas. Nothing of them is compiled.
const (
	kubernetes = "k8s.io/kubernetes@v1.36.3"
	keda       = "github.com/kedacore/keda/v2@v2.21.0"
	prometheus = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

// module fetches a module through the Go module proxy, verified by the checksum
// database as any other, and gives the folder of its files.
func module(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", name)
	cmd.Dir = t.TempDir() // no module's
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var told struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &told); err != nil || jsonErr != nil || told.Dir == "" {
		t.Fatalf("%s: %v %v %s", name, err, jsonErr, told.Error)
	}
	return told.Dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readJSON(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must(t, err)
	return v
}

// kindOf names a kind as manifests do.
type kindOf struct{ apiVersion, kind string }

// schemaSet has a schema for every kind that is known.
type schemaSet struct {
	compiler *jsonschema.Compiler
	at       map[kindOf]string
}

func newSchemaSet(t *testing.T) *schemaSet {
	t.Helper()
	s := &schemaSet{jsonschema.NewCompiler(), map[kindOf]string{}}
	s.compiler.DefaultDraft(jsonschema.Draft7)
	s.addKubernetes(t)
	s.addResource(t, filepath.Join(module(t, keda), "config/crd/bases/keda.sh_scaledobjects.yaml"))
	s.addResource(t, filepath.Join(module(t, prometheus), "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"))
	return s
}

// addKubernetes takes the API server's own description of its kinds.
func (s *schemaSet) addKubernetes(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(module(t, kubernetes), "api/openapi-spec/swagger.json"))
	must(t, err)
	swagger := readJSON(t, text).(map[string]any)
	definitions := swagger["definitions"].(map[string]any)
	for name, definition := range definitions {
		d := definition.(map[string]any)
		tighten(d)
		// The description has only its form in JSON for these.
		switch name {
		case "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
			d["type"] = []any{"string", "integer"}
		case "io.k8s.apimachinery.pkg.api.resource.Quantity":
			d["type"] = []any{"string", "number"}
		}
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			k := k.(map[string]any)
			version := k["version"].(string)
			if group := k["group"].(string); group != "" {
				version = group + "/" + version
			}
			s.at[kindOf{version, k["kind"].(string)}] = "kubernetes.json#/definitions/" + name
		}
	}
	must(t, s.compiler.AddResource("kubernetes.json", map[string]any{"definitions": definitions}))
}

// addResource takes a CustomResourceDefinition.
func (s *schemaSet) addResource(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	must(t, yaml.Unmarshal(text, &crd))
	for _, v := range crd.Spec.Versions {
		// Through JSON, so that numbers are what the validator expects.
		text, err := json.Marshal(v.Schema.OpenAPIV3Schema)
		must(t, err)
		schema := readJSON(t, text).(map[string]any)
		// Every kind has metadata; the API server knows their form.
		schema["properties"].(map[string]any)["metadata"] = map[string]any{"$ref": "kubernetes.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
		tighten(schema)
		at := crd.Spec.Names.Kind + "." + v.Name + ".json"
		must(t, s.compiler.AddResource(at, schema))
		s.at[kindOf{crd.Spec.Group + "/" + v.Name, crd.Spec.Names.Kind}] = at
	}
}

// tighten refuses fields that a schema does not know, as the API server does
// when it validates strictly, and takes what its formats mean.
func tighten(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["x-kubernetes-int-or-string"] == true {
			delete(v, "anyOf")
			v["type"] = []any{"integer", "string"}
		}
		_, hasMore := v["additionalProperties"]
		if _, has := v["properties"].(map[string]any); has && !hasMore && v["x-kubernetes-preserve-unknown-fields"] != true {
			v["additionalProperties"] = false
		}
		delete(v, "format")
		delete(v, "pattern") // of Go's regexp, or of another dialect
		for _, child := range v {
			tighten(child)
		}
	case []any:
		for _, child := range v {
			tighten(child)
		}
	}
}

// check holds one manifest to the schema of its kind.
func (s *schemaSet) check(manifest any) error {
	m, ok := manifest.(map[string]any)
	if !ok {
		return fmt.Errorf("a %T is no manifest", manifest)
	}
	version, _ := m["apiVersion"].(string)
	kind, _ := m["kind"].(string)
	at, ok := s.at[kindOf{version, kind}]
	if !ok {
		return fmt.Errorf("no schema of %s %s", version, kind)
	}
	schema, err := s.compiler.Compile(at)
	if err != nil {
		return err
	}
	return schema.Validate(manifest)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

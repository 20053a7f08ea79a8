package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/chartpost/chartpost/schemas"
)

// openAPI holds answers to docs/openapi.yaml.
type openAPI struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
	// seen are the answers that came: "POST /v1/jobs 202".
	seen map[string]bool
}

func newOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	data, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	// The schemas want JSON's own values.
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	o := &openAPI{t: t, doc: plain.(map[string]any), compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	if err := o.compiler.AddResource("openapi.json", plain); err != nil {
		t.Fatal(err)
	}
	return o
}

// at follows names, and references on the way; pointer is where it came to.
func (o *openAPI) at(names ...string) (value any, pointer string) {
	value, pointer = o.doc, "#"
	for _, name := range names {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, ""
		}
		if ref, ok := object["$ref"].(string); ok {
			value, pointer = o.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			object, _ = value.(map[string]any)
		}
		value = object[name]
		pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	return value, pointer
}

// holds checks one answer: its status, its media type and its body are described.
func (o *openAPI) holds(method, path string, resp *http.Response, body string) {
	o.t.Helper()
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	name := fmt.Sprintf("%s %s %d", method, path, resp.StatusCode)
	content, pointer := o.at("paths", path, strings.ToLower(method), "responses", strconv.Itoa(resp.StatusCode), "content", kind, "schema")
	if content == nil {
		o.t.Errorf("%s with %s is not described: %s", name, kind, body)
		return
	}
	o.seen[name] = true
	schema, err := o.compiler.Compile("openapi.json" + pointer)
	if err != nil {
		o.t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			o.t.Errorf("%s: %v\n%s", name, err, line)
		}
	}
}

// TestOpenAPIHolds: the answers of a real intake are as they are described, and each
// status of each operation, as far as a test can bring it about.
func TestOpenAPIHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	p := newProvider(t)
	o := newOpenAPI(t)
	d := w.intake(func(s *IntakeSettings) { s.askWho(p) })
	who := p.token("caller", "good-health", "clinic-b")
	ask := func(method, route, path string, body []byte, want int, header ...string) string {
		t.Helper()
		resp := d.do(method, path, body, append(who, header...)...)
		defer resp.Body.Close()
		text := readAll(t, resp)
		if resp.StatusCode != want {
			t.Errorf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, text)
		}
		o.holds(method, route, resp, text)
		return text
	}
	const jobs, one, files, events = "/v1/jobs", "/v1/jobs/{id}", "/v1/files", "/v1/events"
	var file schemas.File
	if err := json.Unmarshal([]byte(ask("POST", files, "/v1/files?name=a.pdf", document(1000, "a"), 201)), &file); err != nil {
		t.Fatal(err)
	}
	job := func(id string, changes ...func(*schemas.Job)) []byte {
		return encoded(t, w.job(id, []schemas.File{file}, changes...))
	}
	ask("PUT", one, "/v1/jobs/a", job("a"), 200, "Prefer", "wait=60")
	ask("PUT", one, "/v1/jobs/a", job("a"), 200)
	ask("PUT", one, "/v1/jobs/a", job("a", transfer(schemas.Embed)), 409)
	ask("PUT", one, "/v1/jobs/a", job("b"), 422)
	ask("PUT", one, "/v1/jobs/b", job("b"), 202)
	ask("PUT", one, "/v1/jobs/c", job("c", to("elsewhere")), 403)
	ask("PUT", one, "/v1/jobs/c", make([]byte, schemas.MaxJobSize+1), 413)
	ask("GET", one, "/v1/jobs/a", nil, 200)
	ask("GET", one, "/v1/jobs/none", nil, 404)
	ask("POST", jobs, "/v1/jobs", job("d"), 202)
	ask("POST", jobs, "/v1/jobs", job("d"), 200)
	ask("POST", jobs, "/v1/jobs", job("e"), 200, "Prefer", "wait=60")
	ask("POST", jobs, "/v1/jobs", job("a", transfer(schemas.Embed)), 409)
	ask("POST", jobs, "/v1/jobs", job("e", to("elsewhere")), 403)
	ask("POST", jobs, "/v1/jobs", []byte("{}"), 422)
	ask("POST", jobs, "/v1/jobs", make([]byte, schemas.MaxJobSize+1), 413)
	ask("POST", jobs, "/v1/jobs", append(append(job("f"), "\n{}\n"...), job("a")...), 200, "Content-Type", "application/x-ndjson")
	ask("PUT", one, "/v1/jobs/a", job("a", to("clinic-b")), 202)
	ask("GET", one, "/v1/jobs/a", nil, 422) // two destinations know it
	ask("POST", files, "/v1/files?name=a%2Fb", document(1000, "a"), 422)
	ask("POST", files, "/v1/files", make([]byte, 30_000_001), 413)
	ask("GET", events, "/v1/events?class=backfill", nil, 422)
	who = nil
	ask("POST", jobs, "/v1/jobs", job("g"), 401)
	ask("PUT", one, "/v1/jobs/g", job("g"), 401)
	ask("GET", one, "/v1/jobs/g", nil, 401)
	ask("GET", events, "/v1/events", nil, 401)
	ask("POST", files, "/v1/files", document(1000, "a"), 401)
	o.complete("503", "429", "GET /v1/events 200", "POST /v1/files 403", "POST /v1/files 411")
}

// complete holds the description to what came; besides are those that need a broken world.
func (o *openAPI) complete(besides ...string) {
	o.t.Helper()
	paths := o.doc["paths"].(map[string]any)
	for path, operations := range paths {
		for method, operation := range operations.(map[string]any) {
			responses, ok := operation.(map[string]any)
			if !ok {
				continue
			}
			all, _ := responses["responses"].(map[string]any)
			for status := range all {
				name := strings.ToUpper(method) + " " + path + " " + status
				excused := false
				for _, one := range besides {
					excused = excused || strings.HasSuffix(name, one)
				}
				if !o.seen[name] && !excused {
					o.t.Errorf("%s is described and never came", name)
				}
			}
		}
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

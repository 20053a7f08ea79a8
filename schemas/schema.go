package schemas

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed *.v1.schema.json
var schemaFiles embed.FS

// Names lists the schemas of the contract, as Schema takes them.
func Names() []string {
	return []string{"job.v1", "event.v1", "audit.v1", "manifest.v1", "template.v1", "report.v1"}
}

// Schema gives the JSON Schema (draft 2020-12) of that name, for instance
// "job.v1". A name that is not among Names is an error.
func Schema(name string) ([]byte, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("no schema of that name; there are %q", Names())
	}
	return schemaFiles.ReadFile(name + ".schema.json")
}

// contract is a compiled schema and the rules in words found in it.
type contract struct {
	root *jsonschema.Schema
	// titles maps a sub-schema's location to its title, which in these files
	// states the rule: "must be " + title is a sentence.
	titles map[string]string
	shape  *shape
}

var (
	jobContract   = sync.OnceValue(func() *contract { return compile("job.v1") })
	eventContract = sync.OnceValue(func() *contract { return compile("event.v1") })
	auditContract = sync.OnceValue(func() *contract { return compile("audit.v1") })
)

// compile panics on a broken schema: the files are part of the program.
func compile(name string) *contract {
	data, err := Schema(name)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: validateTime})
	// Without a URL of its own the library would look for one on the disk.
	url := "https://chartpost.github.io/schemas/" + name + ".schema.json"
	if err := c.AddResource(url, doc); err != nil {
		panic(err)
	}
	k := &contract{root: c.MustCompile(url), titles: map[string]string{}}
	k.shape = shapeOf([]*jsonschema.Schema{k.root})
	k.collect(k.root, map[*jsonschema.Schema]bool{})
	return k
}

// validateTime holds date-times to what Go reads back without loss: capital T
// and Z, no leap second. RFC 3339 lets a receiver restrict both.
func validateTime(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	return strictTime(s)
}

var errTime = errors.New("not a date-time of RFC 3339")

// strictTime refuses what time.Time takes though RFC 3339 does not: a comma before
// the fraction, an hour of one digit, an offset of 24:00 or 1:60.
func strictTime(s string) error {
	offset := s[len(s)-5:]
	if s[13] != ':' || strings.Contains(s, ",") || !strings.HasSuffix(s, "Z") && (offset[:2] > "23" || offset[3:] > "59") {
		return errTime
	}
	return nil
}
func (k *contract) collect(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	if s.Title != "" {
		k.titles[s.Location] = s.Title
	}
	for _, p := range s.Properties {
		k.collect(p, seen)
	}
	if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		k.collect(more, seen)
	}
	k.collect(s.Items2020, seen)
	for _, b := range branches(s) {
		k.collect(b, seen)
	}
}

// branches are the sub-schemas that speak of the same place as s.
func branches(s *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(s.AllOf, s.AnyOf, s.OneOf, []*jsonschema.Schema{s.Ref, s.If, s.Then, s.Else})
	return slices.DeleteFunc(all, func(b *jsonschema.Schema) bool { return b == nil })
}

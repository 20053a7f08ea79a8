package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// setting is a value as it was written, before anything made sense of it.
type setting struct {
	text string
	// list is not nil where the file has a list of values.
	list []string
	// origin names the place for a person: a variable, or a file, line and key.
	origin string
}

// readYAML gives the settings of a file by the names of their flags, and every
// fault of the file. Nested maps are joined with "-", and "_" is as good as
// "-": "nats: {url: …}", "nats-url: …" and "nats_url: …" are the same.
//
// Values are kept as they are written, so that a key id of digits stays one.
func readYAML(path string) (map[string]setting, []error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, []error{fmt.Errorf("--config (CHARTPOST_CONFIG): %s: %w", path, Cause(err))}
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, []error{fmt.Errorf("%s is no YAML: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	r := &yamlReader{path: path, found: map[string]setting{}}
	if !errors.Is(decoder.Decode(&second), io.EOF) {
		r.fault(&document, "the file must hold one document")
	}
	if root := document.Content[0]; root.Kind == yaml.MappingNode {
		r.add(nil, root)
	} else if root.Tag != "!!null" {
		r.fault(root, "the file must be a map of settings, like \"prefix: chartpost\"")
	}
	return r.found, r.faults
}

type yamlReader struct {
	path   string
	found  map[string]setting
	faults []error
}

func (r *yamlReader) fault(at *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s:%d: %s", r.path, max(at.Line, 1), fmt.Sprintf(format, args...)))
}

func (r *yamlReader) add(above []string, tree *yaml.Node) {
	for i := 0; i+1 < len(tree.Content); i += 2 {
		key, value := tree.Content[i], tree.Content[i+1]
		path := append(above[:len(above):len(above)], key.Value)
		dotted := strings.Join(path, ".")
		if value.Kind == yaml.MappingNode {
			r.add(path, value)
			continue
		}
		one, ok := valueOf(value)
		if !ok {
			r.fault(value, "%s: must be one value, or a list of values", dotted)
			continue
		}
		if one == nil {
			continue
		}
		name := strings.ReplaceAll(strings.Join(path, "-"), "_", "-")
		if _, twice := r.found[name]; twice {
			r.fault(key, "%s: is set twice", dotted)
			continue
		}
		one.origin = fmt.Sprintf("%s:%d: %s", r.path, key.Line, dotted)
		r.found[name] = *one
	}
}

// valueOf is a value or a list of values; nil of a null. Anchors are not
// followed: a file of settings needs none.
func valueOf(n *yaml.Node) (*setting, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, true
	case n.Kind == yaml.ScalarNode:
		return &setting{text: n.Value}, true
	case n.Kind != yaml.SequenceNode:
		return nil, false
	}
	list := make([]string, len(n.Content))
	for i, one := range n.Content {
		if one.Kind != yaml.ScalarNode || one.Tag == "!!null" {
			return nil, false
		}
		list[i] = one.Value
	}
	return &setting{list: list}, true
}

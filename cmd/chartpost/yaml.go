package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// settings are the keys of a YAML file, each named like its flag. Nested maps
// are joined with "-", so that "nats: {url: …}" and "nats-url: …" are the same.
type settings map[string]any

// loadYAML reads a configuration file for kong.
func loadYAML(r io.Reader) (kong.Resolver, error) {
	var tree map[string]any
	if err := yaml.NewDecoder(r).Decode(&tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the configuration file is no YAML map: %w", err)
	}
	flat := settings{}
	return flat, flat.add("", tree)
}

func (s settings) add(prefix string, tree map[string]any) error {
	for key, value := range tree {
		name := strings.ReplaceAll(prefix+key, "_", "-")
		if branch, ok := value.(map[string]any); ok {
			if err := s.add(name+"-", branch); err != nil {
				return err
			}
			continue
		}
		if _, twice := s[name]; twice {
			return fmt.Errorf("the configuration file sets %s twice", name)
		}
		s[name] = value
	}
	return nil
}

// Validate implements kong.Resolver: a key that no flag of any command has is
// most likely a misspelt one.
func (s settings) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(app.Node)
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if !known[key] {
			faults = append(faults, fmt.Errorf("the configuration file has the unknown key %s", key))
		}
	}
	return errors.Join(faults...)
}

// Resolve implements kong.Resolver.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	switch v := s[flag.Name].(type) {
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = fmt.Sprint(one)
		}
		return strings.Join(parts, ","), nil
	case nil:
		return nil, nil
	default:
		return fmt.Sprint(v), nil
	}
}

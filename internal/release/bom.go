package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// The part of CycloneDX 1.6 that is written. There is no time of writing in it,
// so that the same binary has the same list.
type (
	bill struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Ref        string     `json:"bom-ref"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Hashes     []hash     `json:"hashes,omitempty"`
		PURL       string     `json:"purl"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// settings of a build that say how it can be repeated.
var settings = []string{"-trimpath", "CGO_ENABLED", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "vcs.revision", "vcs.time", "vcs.modified"}

// billOf lists what the linker put into a binary: Go itself and every module,
// as the binary's own build information has it. The graph among the modules is
// not in it; each is a dependency of the binary.
func billOf(info *debug.BuildInfo, name string, sum [sha256.Size]byte) ([]byte, error) {
	if info.Main.Version == "" || info.Main.Version == "(devel)" {
		return nil, errors.New("the binary has no version: it was built outside of a git checkout, or without -buildvcs=true")
	}
	hexSum := hex.EncodeToString(sum[:])
	of := component{
		Type: "application", Name: path.Base(info.Path), Version: info.Main.Version,
		Hashes: []hash{{"SHA-256", hexSum}}, PURL: packageURL(info.Main.Path, info.Main.Version),
		Properties: []property{{"file", name}},
	}
	of.Ref = of.PURL + "#" + strings.TrimPrefix(strings.TrimPrefix(info.Path, info.Main.Path), "/")
	for _, s := range info.Settings {
		if slices.Contains(settings, s.Key) {
			of.Properties = append(of.Properties, property{"go:build:" + s.Key, s.Value})
		}
	}
	parts := []component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		parts = append(parts, library(module.Path, module.Version, module.Sum))
	}
	whole := dependency{Ref: of.Ref}
	var rest []dependency
	for _, part := range parts {
		whole.DependsOn = append(whole.DependsOn, part.Ref)
		rest = append(rest, dependency{Ref: part.Ref})
	}
	var out bytes.Buffer
	to := json.NewEncoder(&out)
	to.SetEscapeHTML(false)
	to.SetIndent("", "  ")
	err := to.Encode(bill{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Serial:     "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(of.PURL+"#"+hexSum)).String(),
		Metadata:   metadata{of},
		Components: parts, Dependencies: append([]dependency{whole}, rest...),
	})
	return out.Bytes(), err
}

// library is a module that is linked. Its sum is that of go.sum: a hash over the
// module's files, and not the SHA-256 of one file, so that it is no "hash" in
// the words of CycloneDX.
func library(module, version, sum string) component {
	purl := packageURL(module, version)
	c := component{Ref: purl, Type: "library", Name: module, Version: version, PURL: purl}
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}

// packageURL is a module's purl of the type golang. The '+' of +incompatible is
// escaped, as the purl specification wants.
func packageURL(module, version string) string {
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}

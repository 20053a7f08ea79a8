package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestOneVersionOfGo: what the image is built with is what is tested. go.mod says
// which that is, and nothing else says another.
func TestOneVersionOfGo(t *testing.T) {
	version := match(t, "../go.mod", `(?m)^toolchain go(1\.[0-9]+\.[0-9]+)$`)
	if image := match(t, "Dockerfile", `(?m)^FROM (?:--platform=\S+ )?golang:([0-9.]+)-bookworm(?:@sha256:[0-9a-f]{64})? AS build$`); image != version {
		t.Errorf("the Dockerfile builds with Go %s, go.mod's toolchain is %s", image, version)
	}
	images := regexp.MustCompile(`golang:([0-9][0-9.]*)`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && (entry.Name() == ".git" || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			return err
		}
		if ext := filepath.Ext(path); ext != ".md" && ext != ".yaml" && ext != ".yml" && ext != "" && entry.Name() != "Makefile" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) > 1<<20 {
			return err
		}
		for _, found := range images.FindAllSubmatch(data, -1) {
			if string(found[1]) != version {
				t.Errorf("%s names Go %s, go.mod's toolchain is %s", path, found[1], version)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func match(t *testing.T, path, pattern string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(data)
	if found == nil {
		t.Fatalf("%s: nothing fits %s", path, pattern)
	}
	return string(found[1])
}

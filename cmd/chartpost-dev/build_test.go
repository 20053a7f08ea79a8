package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildSaysHowFarItIs: build.sh counts what is compiled, passes errors on, and
// ends as the go command does.
func TestBuildSaysHowFarItIs(t *testing.T) {
	script, err := filepath.Abs("build.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		said string
		code int
		want []string
	}{
		"built":  {"go: downloading example.org/a v1.0.0\nexample.org/a\nexample.org/b", 0, []string{"1 modules downloaded", "1/2", "2/2", "done", "Next: "}},
		"broken": {"example.org/a\n# example.org/b\nb.go:1:1: undefined: c", 1, []string{"b.go:1:1: undefined: c", "failed"}},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "internal/devstack/s3server"), 0o700); err != nil {
			t.Fatal(err)
		}
		program := "#!/bin/sh\ncat <<'E'\n" + c.said + "\nE\nexit " + string(rune('0'+c.code)) + "\n"
		goCommand := filepath.Join(dir, "go")
		if err := os.WriteFile(goCommand, []byte(program), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), script, goCommand, "bin")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
		if c.code != 0 && strings.Contains(string(out), "2/2") {
			t.Errorf("%s: it went on\n%s", name, out)
		}
	}
}

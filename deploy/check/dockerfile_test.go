package check

import (
	"os"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestDockerfile reads the Dockerfile as docker build does and holds it to rules:
// it cannot be built here.
func TestDockerfile(t *testing.T) {
	text, err := os.Open("../Dockerfile")
	must(t, err)
	defer text.Close()
	parsed, err := parser.Parse(text)
	must(t, err)
	for _, w := range parsed.Warnings {
		t.Errorf("%s", w.Short)
	}
	warn := linter.New(&linter.Config{Warn: func(rule, description, _, message string, _ []parser.Range) {
		t.Errorf("docker build --check: %s: %s (%s)", rule, message, description)
	}})
	stages, _, err := instructions.Parse(parsed.AST, warn)
	must(t, err)
	if len(stages) != 3 || stages[2].Name != "chartpost" {
		t.Fatalf("%d stages, of which the last must be chartpost", len(stages))
	}
	for _, stage := range stages {
		if strings.HasSuffix(stage.BaseName, ":latest") || stage.BaseName != "scratch" && !strings.Contains(stage.BaseName, ":") {
			t.Errorf("%s: its base is %s, which is no version", stage.Name, stage.BaseName)
		}
	}
	static := false
	for _, c := range stages[0].Commands {
		if env, ok := c.(*instructions.EnvCommand); ok {
			for _, kv := range env.Env {
				static = static || kv.Key == "CGO_ENABLED" && kv.Value == "0"
			}
		}
	}
	if !static {
		t.Error("CGO_ENABLED is not 0: the programs need a C library")
	}
	for _, stage := range stages[1:] {
		checkImage(t, stage)
	}
	certificates := false
	for _, c := range stages[2].Commands {
		if copied, ok := c.(*instructions.CopyCommand); ok {
			certificates = certificates || copied.DestPath == "/etc/ssl/certs/"
		}
	}
	if !certificates {
		t.Error("the image has no authorities to trust")
	}
}

// checkImage holds a stage that becomes an image to what an image may have.
func checkImage(t *testing.T, stage instructions.Stage) {
	t.Helper()
	if stage.BaseName != "scratch" {
		t.Errorf("%s: it begins from %s", stage.Name, stage.BaseName)
	}
	user, entry := "", false
	for _, c := range stage.Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if c.From != stageBuild {
				t.Errorf("%s: it copies from %q", stage.Name, c.From)
			}
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entry = !c.PrependShell
		case *instructions.CmdCommand:
			if c.PrependShell {
				t.Errorf("%s: its command needs a shell", stage.Name)
			}
		case *instructions.ExposeCommand, *instructions.StopSignalCommand:
		default:
			t.Errorf("%s: %s has no place in it", stage.Name, c.Name())
		}
	}
	if user != "65532:65532" || !entry {
		t.Errorf("%s: its user is %q, and its entry point without a shell %t", stage.Name, user, entry)
	}
}

const stageBuild = "build"

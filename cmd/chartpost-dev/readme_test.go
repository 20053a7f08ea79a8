package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/samples"
)

// TestReadmeWithCurl: the README's two commands bring a PDF of one's own from a file to
// accepted.
func TestReadmeWithCurl(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(readme), "```sh\n. .dev/env")
	block, _, ended := strings.Cut(block, "```\n")
	if !found || !ended || strings.Count(block, "curl ") != 2 {
		t.Fatalf("the README has no block with two curl commands: %s", block)
	}
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	dir := filepath.Join(t.TempDir(), "world")
	out, _, stop := command(t, append([]string{"up", "--dir", dir}, freePorts...)...)
	out.await(t, "Ctrl-C ends it.")
	pdf := filepath.Join(t.TempDir(), "YOUR.pdf")
	if err := os.WriteFile(pdf, samples.Documents()[0].Bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer(".dev/", dir+"/", "@YOUR.pdf", "@"+pdf).Replace(". .dev/env" + block)
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), `"state":"accepted"`) {
		t.Errorf("%v\n%s\n%s", err, script, said)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

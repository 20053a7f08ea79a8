package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestBill(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Path: "example.org/post/cmd/post",
		Main: debug.Module{Path: "example.org/post", Version: "v1.2.3"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.0.0", Sum: "h1:AAAA="},
			{Path: "example.org/b", Version: "v2.0.0+incompatible", Sum: "h1:BBBB="},
			{Path: "example.org/c", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.0.1", Sum: "h1:CCCC="}},
		},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "vcs.revision", Value: "0123"}, {Key: "-ldflags", Value: "no matter"}},
	}
	got, err := billOf(info, "post_v1.2.3_linux_amd64", sha256.Sum256([]byte("binary")))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "bill.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("other than testdata/bill.json:\n%s", got)
	}
	info.Main.Version = "(devel)"
	if _, err := billOf(info, "", [32]byte{}); err == nil {
		t.Error("a binary without a version has a list")
	}
}

// TestRelease makes a release of a small project, and of one whose binary says
// where it was built.
func TestRelease(t *testing.T) {
	t.Parallel()
	host := runtime.GOOS + "/" + runtime.GOARCH
	project := repository(t, map[string]string{"go.mod": "module example.org/post\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n"})
	out := filepath.Join(t.TempDir(), "dist")
	args := []string{"-repository", project, "-out", out, "-package", ".", "-platforms", host, "-warm"}
	var said strings.Builder
	if err := run(t.Context(), args, &said); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	if err != nil || string(sums) != said.String() {
		t.Fatalf("%v: the sums are\n%s, and what was said is\n%s", err, sums, said.String())
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d files: %s", len(lines), sums)
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != sum {
			t.Errorf("%v: %s is not the sum of %s", err, sum, name)
		}
	}
	binary, name, _ := strings.Cut(lines[0], "  ")
	if !strings.HasPrefix(name, "post_v0.0.0-") || strings.Contains(name, "dirty") || !strings.HasSuffix(name, strings.ReplaceAll("_"+host, "/", "_")) {
		t.Errorf("the binary is called %s", name)
	}
	checkBill(t, filepath.Join(out, name+".cdx.json"), binary)
	if err := run(t.Context(), args, &said); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over another release: %v", err)
	}
}

func checkBill(t *testing.T, file, sum string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got bill
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if of := got.Metadata.Component; of.Name != "post" || of.Hashes[0].Content != sum || of.Version == "" {
		t.Errorf("it is about %+v", of)
	}
	if len(got.Components) != 1 || got.Components[0].Name != "std" {
		t.Errorf("parts %+v", got.Components)
	}
}

// TestBuildsThatDiffer is a project with two commits, one at each site: what a
// build that does not repeat looks like from outside.
func TestBuildsThatDiffer(t *testing.T) {
	t.Parallel()
	project := repository(t, map[string]string{"go.mod": "module example.org/post\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n"})
	commit(t, project, map[string]string{"main.go": "package main\n\nfunc main() { println() }\n"})
	var sites []site
	for _, at := range []string{"HEAD~1", "HEAD"} {
		s := site{dir: filepath.Join(t.TempDir(), "src"), warm: true}
		if err := s.clone(t.Context(), project, at); err != nil {
			t.Fatal(err)
		}
		sites = append(sites, s)
	}
	_, err := buildAlike(t.Context(), sites, ".", platform{runtime.GOOS, runtime.GOARCH})
	if !errors.Is(err, errDiffers) {
		t.Errorf("got %v", err)
	}
}

func TestFaultyArguments(t *testing.T) {
	for _, args := range [][]string{{"-platforms", "linux"}, {"-platforms", "linux/"}, {"extra"}, {"-commit", "no-such", "-out", t.TempDir()}} {
		if err := run(t.Context(), args, new(strings.Builder)); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// TestEveryLinkedModuleIsListed lists the parts of this test's own binary.
func TestEveryLinkedModuleIsListed(t *testing.T) {
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("the test binary tells nothing of what is linked")
	}
	about := *info
	about.Main.Version = "v1.0.0"
	text, err := billOf(&about, "x", sha256.Sum256(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range info.Deps {
		if !strings.Contains(string(text), `"pkg:golang/`+module.Path+`@`) {
			t.Errorf("%s is missing", module.Path)
		}
	}
	if !strings.Contains(string(text), hex.EncodeToString(sha256.New().Sum(nil))) {
		t.Error("the sum is missing")
	}
}

func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := output(t.Context(), dir, nil, "git", "init", "--quiet"); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, files)
	return dir
}

func commit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--no-verify", "-m", "x"},
	} {
		if _, err := output(t.Context(), dir, nil, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
}

package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Build builds a program for tests and gives its path: a folder of this
// repository with a main package, such as "cmd/chartpost", or an import path of
// another module. The working directory must be in the repository.
//
// All processes of this user share what is built, so that each program is linked
// once. The go command finds out whether it is still up to date, and each process
// asks it once. Programs are static, as the image has them.
func Build(ctx context.Context, program string) (string, error) {
	builds.Lock()
	defer builds.Unlock()
	if path, ok := builds.done[program]; ok {
		return path, nil
	}
	path, err := build(ctx, program)
	if err != nil {
		return "", fmt.Errorf("devstack: build of %s: %w", program, err)
	}
	builds.done[program] = path
	return path, nil
}

// builds are those that this process has asked for.
var builds = struct {
	sync.Mutex
	done map[string]string
}{done: map[string]string{}}

func build(ctx context.Context, program string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	dir, pkg := root, program
	if holds(filepath.Join(root, program, "go.mod")) {
		dir, pkg = filepath.Join(root, program), "."
	} else if holds(filepath.Join(root, program)) {
		pkg = "./" + program
	}
	built := filepath.Join(programsOf(root), strings.ReplaceAll(program, "/", "_"), baseOf(program))
	if err := os.MkdirAll(filepath.Dir(built), 0o700); err != nil {
		return "", err
	}
	release, err := lock(built + ".lock")
	if err != nil {
		return "", err
	}
	defer release()
	// Without the commit in it, or each commit would make it be linked again.
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", built, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return built, nil
}

// programsOf is the folder of what is built of one checkout.
func programsOf(root string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), "cache")
	}
	sum := sha256.Sum256([]byte(root))
	return filepath.Join(cache, "chartpost-devstack", hex.EncodeToString(sum[:8]))
}

// majorVersion is the last element of an import path that names no program.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

func baseOf(program string) string {
	if base := path.Base(program); !majorVersion.MatchString(base) {
		return base
	}
	return path.Base(path.Dir(program))
}

// repository is the root of the checkout that the working directory is in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if strings.HasPrefix(string(text), "module github.com/chartpost/chartpost\n") {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("run it in a checkout of Chartpost, or after `make build`")
		}
		dir = above
	}
}

func holds(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

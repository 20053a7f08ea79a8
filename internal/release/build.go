package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

type platform struct{ system, machine string }

func (p platform) String() string { return p.system + "/" + p.machine }

// release is one run of the command.
type release struct {
	repository, commit, dir, program string
	platforms                        []platform
	// warm shares the machine's build cache among both builds.
	warm bool
}

// errDiffers is a build that gave other bytes the second time.
var errDiffers = errors.New("the two builds differ")

func (r release) make(ctx context.Context, out io.Writer) error {
	if err := emptyFolder(r.dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "chartpost-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// The folders differ in length too: a path that gets into a binary shows.
	var sites []site
	for _, name := range []string{"a", "the-other-folder/b"} {
		s := site{dir: filepath.Join(work, name, "src"), warm: r.warm, cache: filepath.Join(work, name, "cache")}
		if err := s.clone(ctx, r.repository, r.commit); err != nil {
			return err
		}
		sites = append(sites, s)
	}
	var sums strings.Builder
	for _, p := range r.platforms {
		binary, err := buildAlike(ctx, sites, r.program, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		names, err := r.publish(binary, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		for _, name := range names {
			line, err := sumLine(filepath.Join(r.dir, name))
			if err != nil {
				return err
			}
			sums.WriteString(line)
			fmt.Fprint(out, line)
		}
	}
	return os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// publish puts a binary and the list of its parts into the folder, and gives
// their names.
func (r release) publish(binary string, p platform) ([]string, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading what is linked: %w", err)
	}
	name := fmt.Sprintf("%s_%s_%s_%s", path.Base(info.Path), info.Main.Version, p.system, p.machine)
	bom, err := billOf(info, name, sha256.Sum256(data))
	if err != nil {
		return nil, err
	}
	return []string{name, name + ".cdx.json"}, errors.Join(
		os.WriteFile(filepath.Join(r.dir, name), data, 0o755),
		os.WriteFile(filepath.Join(r.dir, name+".cdx.json"), bom, 0o644),
	)
}

// buildAlike builds at every site and gives the first binary if all are alike.
func buildAlike(ctx context.Context, sites []site, program string, p platform) (string, error) {
	var first string
	var sum [sha256.Size]byte
	for i, s := range sites {
		binary, err := s.build(ctx, program, p)
		if err != nil {
			return "", err
		}
		data, err := os.ReadFile(binary)
		if err != nil {
			return "", err
		}
		got := sha256.Sum256(data)
		switch {
		case i == 0:
			first, sum = binary, got
		case got != sum:
			return "", fmt.Errorf("%w: SHA-256 %x and %x", errDiffers, sum, got)
		}
	}
	return first, nil
}

// site is a folder with a checkout of its own and a build cache of its own.
type site struct {
	dir, cache string
	warm       bool
}

func (s site) clone(ctx context.Context, repository, commit string) error {
	at, err := output(ctx, repository, nil, "git", "rev-parse", "--verify", commit+"^{commit}")
	if err != nil {
		return err
	}
	from, err := filepath.Abs(repository)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.dir), 0o755); err != nil {
		return err
	}
	if _, err := output(ctx, ".", nil, "git", "clone", "--quiet", "--no-checkout", from, s.dir); err != nil {
		return err
	}
	_, err = output(ctx, s.dir, nil, "git", "checkout", "--quiet", "--detach", strings.TrimSpace(at))
	return err
}

func (s site) build(ctx context.Context, program string, p platform) (string, error) {
	binary := filepath.Join(s.dir, "bin", p.system+"-"+p.machine)
	settings := []string{
		"GOOS=" + p.system, "GOARCH=" + p.machine, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off",
		// What a machine may have set otherwise, and what shows in the bytes.
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off",
	}
	if !s.warm {
		settings = append(settings, "GOCACHE="+s.cache)
	}
	_, err := output(ctx, s.dir, settings, "go", "build", "-trimpath", "-buildvcs=true", "-o", binary, program)
	return binary, err
}

// output runs a program and gives what it printed.
func output(ctx context.Context, dir string, settings []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), settings...)
	var said strings.Builder
	cmd.Stderr = &said
	printed, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, said.String())
	}
	return string(printed), nil
}

func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a release is made as a whole", dir)
	}
	return err
}

// sumLine is a line that `sha256sum -c` reads.
func sumLine(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]) + "  " + filepath.Base(file) + "\n", nil
}

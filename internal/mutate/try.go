package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// result is what became of a change.
type result int

const (
	// killed: a test failed, or took too long.
	killed result = iota
	// lived: every test passed.
	lived
	// pardoned: it lived, and is in the list of accepted ones.
	pardoned
	// invalid: it does not compile, and says nothing.
	invalid
	results
)

func (r result) String() string {
	return [...]string{"killed", "SURVIVED", "accepted", "invalid"}[r]
}

// tally counts results.
type tally [results]int

func (t tally) String() string {
	tried := t[killed] + t[lived] + t[pardoned]
	share := 0.0
	if tried > 0 {
		share = 100 * float64(t[killed]) / float64(tried)
	}
	return fmt.Sprintf("%d killed of %d (%.1f %%), %d survived, %d accepted survivors; %d more do not compile",
		t[killed], tried, share, t[lived], t[pardoned], t[invalid])
}

// try runs the tests of the package of a change with it.
func try(ctx context.Context, c change, o options) (result, error) {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, c)
	if err != nil {
		return 0, err
	}
	args := []string{"test", "-overlay", overlay, "-failfast", "-count=1", "-vet=off", "-timeout", o.timeout.String()}
	if o.run != "" {
		args = append(args, "-run", o.run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, c.pkg)...)
	out, err := cmd.CombinedOutput()
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err == nil:
		return lived, nil
	case !exited:
		return 0, err
	case bytes.Contains(out, []byte("[build failed]")):
		return invalid, nil
	}
	return killed, nil
}

// writeOverlay writes the changed file, and the file that names it to the go command.
func writeOverlay(dir string, c change) (string, error) {
	source, err := os.ReadFile(c.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(string(source[:c.begin])+c.with(source)+string(source[c.end:])), 0o600); err != nil {
		return "", err
	}
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {c.file: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, spec, 0o600)
}

// with is what takes the place of the range.
func (c change) with(source []byte) string {
	left, right := lineAround(source, c.begin, c.end)
	return c.is[c.begin-left : len(c.is)-(right-c.end)]
}

// readAccepted reads the accepted survivors: in each line the name of a change, a tab
// and the reason. Lines that begin with # say nothing. No file is none.
func readAccepted(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	accepted := map[string]string{}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, ok := strings.Cut(line, "\t")
		if reason = strings.TrimSpace(reason); !ok || reason == "" {
			return nil, fmt.Errorf("%s:%d: no reason; write the change, a tab and why it may survive", path, n)
		}
		accepted[id] = reason
	}
	return accepted, lines.Err()
}

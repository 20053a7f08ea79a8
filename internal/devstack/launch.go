package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// launchRole starts a program that serves when asked, and waits for its line.
func launchRole(ctx context.Context, program string, o order) (*running, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	// Not CommandContext: ctx bounds the start, and the server outlives it.
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+string(raw))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own: Wait closes StdoutPipe's while it is being read.
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout = childOut
	r, said, err := launch(cmd, in.Close)
	childOut.Close()
	if err != nil {
		return nil, err
	}
	answer := make(chan error, 1)
	go func() {
		line, err := readReady(out)
		r.url = line.URL
		answer <- err
	}()
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ctx.Err()
		// The child's death ends readReady, so that r.url is ours again.
		defer func() { <-answer }()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("devstack: %s server: %w", o.Role, err), r.kill(), said.err())
	}
	return r, nil
}

// launch starts cmd, keeps the end of what it says on standard error, and
// waits for its end in the background.
func launch(cmd *exec.Cmd, ask func() error) (*running, *tail, error) {
	said := &tail{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("devstack: %w", err)
	}
	r := &running{cmd: cmd, ask: ask, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		// How a server that was killed ended tells nothing.
		_ = cmd.Wait()
	}()
	return r, said, nil
}

// tail keeps the last few KB that were written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

// err is what the process said, or nil when it said nothing.
func (t *tail) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return nil
	}
	return fmt.Errorf("it said: %s", t.text)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// profile fetches the worker's CPU profile of some seconds, and what it allocated
// up to their end, into dir. The channel gives how that ended; without a dir
// nothing is fetched.
func (p *process) profile(ctx context.Context, dir, name string) <-chan error {
	ended := make(chan error, 1)
	if dir == "" {
		ended <- nil
		return ended
	}
	go func() {
		save := func(kind, path string) error {
			page, err := p.get(ctx, path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name+"."+kind), page, 0o600)
		}
		cpu := save("cpu", fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds))
		ended <- errors.Join(cpu, save("allocs", "/debug/pprof/allocs"))
	}()
	return ended
}

// profileSeconds is within what every row takes.
const profileSeconds = 3

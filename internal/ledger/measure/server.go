package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
)

// server is a genuine nats-server in a process of its own.
type server struct {
	program, dir, url string
	limit             string
	port              int
	cmd               *exec.Cmd
}

func newServer(ctx context.Context, dir, limit string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	program, err := devstack.Build(ctx, devstack.NATSServer)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	return &server{program: program, dir: dir, limit: limit, port: port, url: fmt.Sprintf("nats://127.0.0.1:%d", port)}, nil
}

func (s *server) start(synced bool) error {
	settings := filepath.Join(s.dir, "nats.conf")
	interval := "2m"
	if synced {
		interval = "always"
	}
	text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q, sync_interval: %s }\n", s.port, filepath.Join(s.dir, "data"), interval)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return err
	}
	s.cmd = exec.Command(s.program, "-c", settings)
	if s.limit != "" {
		s.cmd.Env = append(os.Environ(), "GOMEMLIMIT="+s.limit)
	}
	devstack.DieWithParent(s.cmd)
	return s.cmd.Start()
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// memory is the resident memory of the process, in bytes.
func (s *server) memory() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kilobytes) * 1024, err
		}
	}
	return 0, errors.New("the system does not tell the memory of the server")
}

// watch reads the memory every 100 ms until the function it gives is called,
// which tells the most.
func (s *server) watch() func() float64 {
	var most float64
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			if memory, err := s.memory(); err == nil {
				most = max(most, memory)
			}
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() float64 {
		close(done)
		all.Wait()
		return most
	}
}

// disk is what the server's files take, in bytes. Files may go while it looks.
func (s *server) disk() (float64, error) {
	var bytes float64
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				bytes += float64(info.Size())
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, err
}

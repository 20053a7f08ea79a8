package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// NATSServer is the genuine nats-server program, for Build: the version that this
// module requires.
const NATSServer = "github.com/nats-io/nats-server/v2"

// InstallNATSServer fetches the genuine nats-server of another version, such as
// "2.14.9", through the module proxy, keeps it below dir and gives its path. One
// that is there already is not fetched again.
func InstallNATSServer(ctx context.Context, dir, version string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(dir, "nats-server-"+version))
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "nats-server")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/nats-server/v2@v"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("devstack: install of nats-server %s: %w: %s", version, err, out)
	}
	return program, nil
}

// StartNATSBinary runs a nats-server program. On Linux it dies
// with this process; elsewhere only Stop and Kill end it.
func StartNATSBinary(ctx context.Context, program string, options NATSOptions) (*ServerProcess, error) {
	if options.Dir == "" {
		return nil, errors.New("nats: no folder for JetStream")
	}
	return start(ctx, options.Port, func(ctx context.Context, port int) (*running, error) {
		return launchNATSBinary(ctx, program, port, options)
	})
}

func launchNATSBinary(ctx context.Context, program string, port int, options NATSOptions) (*running, error) {
	dir, err := os.MkdirTemp("", "nats-server-")
	if err != nil {
		return nil, err
	}
	// Once it listens neither the settings nor the ports file is read again.
	defer os.RemoveAll(dir)
	settings := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(settings, natsConfig(port, dir, options), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-c", settings)
	DieWithParent(cmd)
	r, said, err := launch(cmd, func() error { return cmd.Process.Signal(syscall.SIGTERM) })
	if err != nil {
		return nil, err
	}
	if r.url, err = awaitPorts(ctx, r, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("devstack: nats-server: %w", err), r.kill(), said.err())
	}
	return r, nil
}

func natsConfig(port int, portsDir string, options NATSOptions) []byte {
	sync := "always"
	if options.LazySync {
		sync = "2m"
	}
	limit := ""
	if options.MaxFileStore > 0 {
		limit = fmt.Sprintf(", max_file_store: %d", options.MaxFileStore)
	}
	text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\nports_file_dir: %s\njetstream { store_dir: %s, sync_interval: %s%s }\n",
		port, strconv.Quote(portsDir), strconv.Quote(options.Dir), sync, limit)
	if options.Seat != nil {
		text += options.Seat.config()
	}
	if options.MaxPayload > 0 {
		text += fmt.Sprintf("max_payload: %d\n", options.MaxPayload)
	}
	return []byte(text)
}

// awaitPorts waits for the file in which nats-server tells where it listens.
func awaitPorts(ctx context.Context, r *running, dir string) (string, error) {
	file := filepath.Join(dir, fmt.Sprintf("%s_%d.ports", filepath.Base(r.cmd.Path), r.cmd.Process.Pid))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var ports struct {
			Nats []string `json:"nats"`
		}
		// The file may be half written: then the next look reads it whole.
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0], nil
		}
		select {
		case <-tick.C:
		case <-r.done:
			return "", errors.New("it ended before it was ready")
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

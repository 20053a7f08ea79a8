package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// How long a process may take to become ready and to stop when asked to. They
// are bounds against a hang, far above what a slow machine needs.
const (
	processReadyWithin = time.Minute
	processStopWithin  = time.Minute
)

// ServerProcess is a server in a process of its own. Its methods may be called
// from several goroutines.
type ServerProcess struct {
	launch func(ctx context.Context, port int) (*running, error)

	mu      sync.Mutex
	current *running // nil while it is down
	url     string
	port    int
	claim   *Port // of a port that nobody named
}

// running is one life of the process.
type running struct {
	cmd  *exec.Cmd
	url  string
	ask  func() error  // asks it to stop
	done chan struct{} // closed when it has been waited for
}

// StartProcess runs this very program again as a server of the given role and
// returns when it takes requests. The program must call
// ServeIfAsked. The server dies with this process.
func StartProcess(ctx context.Context, role string, options any) (*ServerProcess, error) {
	if _, asked := os.LookupEnv(roleVariable); asked {
		return nil, errors.New("devstack: this process is to be a server itself: call ServeIfAsked before anything else")
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return StartProgram(ctx, program, role, options)
}

// StartProgram is StartProcess with another program, which must do as
// ServeIfAsked does.
func StartProgram(ctx context.Context, program, role string, options any) (*ServerProcess, error) {
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("devstack: options: %w", err)
	}
	var wanted struct {
		Port int `json:"port"`
	}
	if err := json.Unmarshal(raw, &wanted); err != nil {
		return nil, fmt.Errorf("devstack: options: %w", err)
	}
	return start(ctx, wanted.Port, func(ctx context.Context, port int) (*running, error) {
		return launchRole(ctx, program, order{Role: role, Port: port, Options: raw})
	})
}

// StartNATSProcess runs this program again as a NATS server.
func StartNATSProcess(ctx context.Context, options NATSOptions) (*ServerProcess, error) {
	return StartProcess(ctx, NATSRole().Name, options)
}

func start(ctx context.Context, port int, launch func(context.Context, int) (*running, error)) (*ServerProcess, error) {
	p := &ServerProcess{launch: launch, port: port}
	if port == 0 {
		var err error
		if p.claim, err = TakePort(); err != nil {
			return nil, err
		}
		p.port = p.claim.Number
	}
	if err := p.Restart(ctx); err != nil {
		return nil, errors.Join(err, p.claim.Close())
	}
	return p, nil
}

// URL is where the server listens. It stays the same over a Restart.
func (p *ServerProcess) URL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

// PID is the number of the process, 0 while it is down.
func (p *ServerProcess) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return 0
	}
	return p.current.cmd.Process.Pid
}

// Signal sends the process a signal, for instance SIGSTOP to freeze it.
func (p *ServerProcess) Signal(signal os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return os.ErrProcessDone
	}
	return p.current.cmd.Process.Signal(signal)
}

// Kill ends the process as kill -9 does and waits until it is gone.
func (p *ServerProcess) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil
	}
	err := p.current.kill()
	p.current = nil
	return err
}

// Stop asks the server to end in good order, waits for it, and kills it when
// that takes too long. Stopping twice is no error.
func (p *ServerProcess) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop()
}

// Close is Stop, for good: the port may be another's then.
func (p *ServerProcess) Close() error { return errors.Join(p.Stop(), p.claim.Close()) }

// Restart starts the server again on the same port and folder; one that runs
// is stopped first.
func (p *ServerProcess) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, processReadyWithin)
	defer cancel()
	r, err := p.launch(ctx, p.port)
	if err != nil {
		return err
	}
	port, err := portOf(r.url)
	if err != nil {
		return errors.Join(err, r.kill())
	}
	p.current, p.url, p.port = r, r.url, port
	return nil
}

func (p *ServerProcess) stop() error {
	r := p.current
	if r == nil {
		return nil
	}
	p.current = nil
	if err := r.ask(); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, os.ErrClosed) {
		return errors.Join(err, r.kill())
	}
	select {
	case <-r.done:
		return nil
	case <-time.After(processStopWithin):
		return errors.Join(errors.New("devstack: the server did not stop when asked and was killed"), r.kill())
	}
}

func (r *running) kill() error {
	err := r.cmd.Process.Kill()
	<-r.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func portOf(address string) (int, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Port())
}

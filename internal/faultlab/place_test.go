package faultlab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
)

// place is where one worker runs after the other.
type place struct {
	fleet *fleet
	// mu keeps harm to one place in order.
	mu    sync.Mutex
	lives int
	now   *life // nil while nobody runs here
}

// life is one worker process.
type life struct {
	name  string
	cmd   *exec.Cmd
	done  chan struct{}
	mu    sync.Mutex
	asked string
	since time.Time
}

func (p *place) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startLocked()
}

func (p *place) startLocked() error {
	f := p.fleet
	p.lives++
	name := fmt.Sprintf("%s%d-%d", workerPrefix, p.number(), p.lives)
	log, err := os.Create(filepath.Join(f.logs, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	door, err := f.newDoor(name)
	if err != nil {
		return err
	}
	redoxURL := "http://" + door.Address()
	cmd := exec.Command(binaries.chartpost(f.lab.t), "worker")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.logs, "TMPDIR=" + os.TempDir(),
		"AWS_ACCESS_KEY_ID=" + s3dev.DefaultAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3dev.DefaultSecretKey,
		"CHARTPOST_NATS_URL=" + f.lab.queue.url(), "CHARTPOST_PREFIX=" + prefix,
		"CHARTPOST_S3_ENDPOINT=" + f.lab.s3URL, "CHARTPOST_S3_PATH_STYLE=true",
		"CHARTPOST_REDOX_API_URL=" + redoxURL, "CHARTPOST_REDOX_TOKEN_URL=" + redoxURL + "/v2/auth/token", "CHARTPOST_REDOX_BLOB_URL=" + redoxURL,
		"CHARTPOST_WORKER_NAME=" + name,
	}, f.lab.redox.environment...)
	cmd.Env = append(cmd.Env, f.crew.environment()...)
	if *settings != "" {
		cmd.Env = append(cmd.Env, strings.Split(*settings, ",")...)
	}
	devstack.DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	one := &life{name: name, cmd: cmd, done: make(chan struct{})}
	p.now = one
	go p.await(one, log.Name())
	return nil
}

func (p *place) number() int {
	for i, other := range p.fleet.places {
		if other == p {
			return i + 1
		}
	}
	return 0
}

// await writes a worker's end into the books. One that ended by itself is
// started again after a moment, as any supervisor does.
func (p *place) await(one *life, log string) {
	defer close(one.done)
	_ = one.cmd.Wait() // the state tells more than the error
	one.mu.Lock()
	end := Exit{Worker: one.name, At: time.Now(), Asked: one.asked, Code: one.cmd.ProcessState.ExitCode()}
	if one.asked != "" {
		end.Took = time.Since(one.since)
	}
	one.mu.Unlock()
	text, err := os.ReadFile(log)
	end.Ready = err != nil || bytes.Contains(text, []byte(`"worker ready"`))
	l := p.fleet.lab
	l.mu.Lock()
	l.books.Exits = append(l.books.Exits, end)
	l.mu.Unlock()
	if end.Asked == "" {
		time.AfterFunc(time.Second, func() { p.supervise(one) })
	}
}

func (p *place) supervise(ended *life) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != ended {
		return
	}
	if err := p.startLocked(); err != nil {
		p.fleet.lab.t.Errorf("starting a worker again: %v", err)
	}
}

// ask sends the signal that is to end a worker.
func (one *life) ask(signal syscall.Signal, name string) error {
	one.mu.Lock()
	one.asked, one.since = name, time.Now()
	one.mu.Unlock()
	if err := one.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill ends the worker as kill -9 does and starts its successor at once.
func (p *place) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.now
	if err := one.ask(syscall.SIGKILL, "KILL"); err != nil {
		return err
	}
	<-one.done
	p.fleet.lab.harm(killed, one.name, 0)
	return p.startLocked()
}

// freeze stops the worker for a while, as a paused virtual machine is.
func (p *place) freeze(pause func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.now
	if err := one.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.fleet.lab.harm(frozen, one.name, 0)
	pause()
	p.fleet.lab.harm(woken, one.name, 0)
	return one.cmd.Process.Signal(syscall.SIGCONT)
}

// stop asks the worker to end in good order and waits for it.
func (p *place) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopLocked()
}

func (p *place) stopLocked() error {
	one := p.now
	if one == nil {
		return nil
	}
	p.now = nil
	if err := one.ask(syscall.SIGTERM, "TERM"); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-one.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("worker %s does not end after SIGTERM", one.name), one.cmd.Process.Kill())
	}
}

// replace is a rolling update: SIGTERM, and a successor when it has ended.
func (p *place) replace() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fleet.lab.harm("SIGTERM", p.now.name, 0)
	if err := p.stopLocked(); err != nil {
		return err
	}
	return p.startLocked()
}

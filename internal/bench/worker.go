package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
)

// process is a program under measurement.
type process struct {
	cmd  *exec.Cmd
	log  string
	http string // where a worker answers; empty for others
	done chan struct{}
	err  error // how it ended, once done is closed
}

// workerSettings are what differs from worker to worker.
type workerSettings struct {
	name, nats, redox, authority string
	// laneSlots are how many jobs of one lane all workers have in hand.
	slots, laneSlots int
	pprof            bool
}

// worker starts a worker as a deployment does, by environment variables, with
// the budget off.
func (s *stage) worker(w workerSettings) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.chartpost, "worker")
	cmd.Env = append(s.environment(),
		"CHARTPOST_NATS_URL="+w.nats, "CHARTPOST_PREFIX="+prefix, "CHARTPOST_WORKER_NAME="+w.name,
		"CHARTPOST_S3_ENDPOINT="+s.s3.URL(), "CHARTPOST_S3_PATH_STYLE=true",
		"CHARTPOST_REDOX_ENVIRONMENT=Development", "CHARTPOST_REDOX_API_URL="+w.redox,
		"CHARTPOST_REDOX_TOKEN_URL="+w.redox+"/v2/auth/token", "CHARTPOST_REDOX_BLOB_URL="+w.redox, "CHARTPOST_REDOX_BLOB_HOSTS="+blobHost,
		"CHARTPOST_REDOX_CLIENT_ID="+s.clientID, "CHARTPOST_REDOX_KEY_FILE="+s.keyFile, "CHARTPOST_REDOX_KEY_ID="+s.keyID,
		"CHARTPOST_REDOX_SOURCE_ID="+s.sourceID, "CHARTPOST_REDOX_TLS_CA="+w.authority,
		"CHARTPOST_CONCURRENCY="+strconv.Itoa(w.slots), "CHARTPOST_LANE_CONCURRENCY="+strconv.Itoa(w.laneSlots),
		"CHARTPOST_BUDGET_REQUESTS=0", "CHARTPOST_HTTP_ADDR="+address, "CHARTPOST_LOG_FORMAT=json",
	)
	if w.pprof {
		cmd.Env = append(cmd.Env, "CHARTPOST_PPROF=true")
	}
	p, err := s.start(cmd, w.name)
	if err != nil {
		return nil, err
	}
	p.http = "http://" + address
	return p, nil
}

// environment is what every program gets: nothing of the caller's settings.
func (s *stage) environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir(),
		"AWS_ACCESS_KEY_ID=" + s3dev.DefaultAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3dev.DefaultSecretKey, "AWS_REGION=" + s3dev.DefaultRegion,
	}
}

// start runs cmd; what it says on standard error goes to a file.
func (s *stage) start(cmd *exec.Cmd, name string) (*process, error) {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	devstack.DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end in good order and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended has its error
	select {
	case <-p.done:
		return p.ended()
	case <-time.After(time.Minute):
		return errors.Join(errors.New("a process does not end after SIGTERM"), p.cmd.Process.Kill())
	}
}

// watch tells failed when the process ends, however it does.
func (p *process) watch(failed chan<- error) {
	go func() {
		<-p.done
		offer(failed, errors.Join(errors.New("a program has ended"), p.ended()))
	}()
}

// ended tells what was wrong with the end of a process.
func (p *process) ended() error {
	if p.err == nil {
		return nil
	}
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s: %w; the end of its log: %s", filepath.Base(p.log), p.err, text[max(0, len(text)-2000):])
}

// get reads one of a worker's own pages.
func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return body, err
}

// metrics reads numbers without labels from a worker's /metrics.
func (p *process) metrics(ctx context.Context, names ...string) ([]float64, error) {
	page, err := p.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(page), names...)
}

// parseMetrics finds metrics without labels in Prometheus' text format.
func parseMetrics(page string, names ...string) ([]float64, error) {
	found := map[string]float64{}
	for line := range strings.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if number, err := strconv.ParseFloat(value, 64); ok && err == nil {
			found[name] = number
		}
	}
	values := make([]float64, len(names))
	for i, name := range names {
		value, ok := found[name]
		if !ok {
			return nil, fmt.Errorf("/metrics has no %s", name)
		}
		values[i] = value
	}
	return values, nil
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

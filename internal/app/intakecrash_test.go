package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// intakeProcess is `chartpost intake` in a process of its own, which is killed and
// started again at the same port.
type intakeProcess struct {
	t       *testing.T
	program string
	port    int
	env     []string
	log     *devtest.Log

	mu      sync.Mutex
	running *exec.Cmd
	// ended is closed when running has ended.
	ended chan struct{}
}

func (w *world) intakeProcess(t *testing.T, program string) *intakeProcess {
	p := &intakeProcess{t: t, program: program, port: devtest.Port(t), log: &devtest.Log{}}
	p.env = append(os.Environ(),
		"CHARTPOST_NATS_URL="+w.settings.NATS.URL, "CHARTPOST_REDOX_ENVIRONMENT=Development", "CHARTPOST_REDOX_SOURCE_ID="+w.settings.Redox.SourceID,
		"CHARTPOST_INTAKE_ADDR=127.0.0.1:"+strconv.Itoa(p.port), "CHARTPOST_CALLER_RATE=0", "CHARTPOST_CALLER_REQUESTS=256",
		"CHARTPOST_S3_ENDPOINT="+w.settings.S3.Endpoint, "CHARTPOST_S3_PATH_STYLE=true")
	t.Cleanup(p.kill)
	return p
}

func (p *intakeProcess) start() {
	cmd := exec.Command(p.program, "intake")
	cmd.Env, cmd.Stderr = p.env, p.log
	devstack.DieWithParent(cmd)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := cmd.Start(); err != nil {
		p.t.Error(err)
		return
	}
	ended := make(chan struct{})
	p.running, p.ended = cmd, ended
	go func() { defer close(ended); _ = cmd.Wait() }()
}

// listens waits until it takes requests. One that has ended by itself, since NATS was away
// when it started, is started again, as a supervisor does.
func (p *intakeProcess) listens() {
	devtest.Until(p.t, "the intake listens", patienceOfTests, func() bool {
		if p.hasEnded() {
			p.start()
		}
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(p.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (p *intakeProcess) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (p *intakeProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		_ = p.running.Process.Kill()
		<-p.ended
		p.running, p.ended = nil, nil
	}
}

// TestIntakeSurvivesKills: intakes and NATS are killed under load. Every job that was
// answered is delivered once, and so is every job that its caller had to send again.
// Redox's answers are lost now and then, so that a second copy of a job would be sent.
func TestIntakeSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills for half a minute")
	}
	for name, c := range map[string]struct {
		replicas, rounds int
		// server is how many rounds are between two kills of a NATS server.
		server int
	}{"one server": {1, 40, 8}, "three servers": {3, 16, 5}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := devtest.Program(t, "cmd/chartpost")
			var nodes []*devstack.ServerProcess
			var url string
			if c.replicas == 1 {
				nodes = []*devstack.ServerProcess{devtest.NATSProcess(t, devstack.NATSOptions{})}
				url = nodes[0].URL()
			} else {
				cluster := devtest.Cluster(t, c.replicas)
				nodes, url = cluster.Nodes, cluster.URL()
			}
			w := newWorld(t, url)
			w.replicate(c.replicas)
			w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.AnswerUnreadable, Probability: 0.2, Seed: 7})
			w.worker()
			s := &submitters{w: w, client: &http.Client{Timeout: 20 * time.Second}}
			for range 2 {
				s.doors = append(s.doors, w.intakeProcess(t, program))
			}
			for _, door := range s.doors {
				door.start()
			}
			const burst = 12
			jobs := s.prepare(c.rounds * burst)
			for round := range c.rounds {
				for _, door := range s.doors {
					door.listens()
				}
				var harming sync.WaitGroup
				began := make(chan struct{})
				if round%c.server == c.server-1 {
					harming.Go(func() { kill(t, nodes[round/c.server%len(nodes)]) })
				}
				harming.Go(func() { s.killIntake(s.doors[round%2], began) })
				s.submit(jobs[round*burst:(round+1)*burst], began)
				harming.Wait()
			}
			s.all.Wait()
			t.Logf("%d jobs, %d of them known when they were answered, %d repeats", len(jobs), s.known.Load(), s.unanswered.Load())
			for _, job := range jobs {
				w.final(job.ID)
			}
			w.drained()
			s.deliveredOnce(jobs)
		})
	}
}

func (w *world) replicate(replicas int) {
	w.t.Helper()
	devtest.Until(w.t, "the streams have their replicas", patienceOfTests, func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		_, err := w.queue.Setup(ctx, natsq.Layout{Replicas: replicas, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute})
		return err == nil
	})
}

// killIntake kills one in the midst of a burst, and starts it again.
func (s *submitters) killIntake(door *intakeProcess, began <-chan struct{}) {
	<-began
	time.Sleep(rand.N(12 * time.Millisecond)) // the moment is what is tried
	door.kill()
	door.start()
}

// kill kills a server and starts it again.
func kill(t *testing.T, node *devstack.ServerProcess) {
	if err := errors.Join(node.Kill(), node.Restart(context.WithoutCancel(t.Context()))); err != nil {
		t.Error(err)
	}
}

// submitters send jobs until each is answered.
type submitters struct {
	w      *world
	doors  []*intakeProcess
	client *http.Client

	all               sync.WaitGroup
	known, unanswered atomic.Int64
}

// prepare makes jobs whose files tell them apart.
func (s *submitters) prepare(n int) []schemas.Job {
	s.w.t.Helper()
	jobs := make([]schemas.Job, n)
	for i := range jobs {
		id := fmt.Sprintf("%s-%d", strings.ToLower(strings.Map(letters, s.w.t.Name())), i)
		jobs[i] = s.w.job(id, []schemas.File{s.w.put(id+".pdf", document(600, id))}, transfer(schemas.Embed), to(fmt.Sprintf("clinic-%d", i%5)))
	}
	return jobs
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// submit sends jobs, all at once, and closes began when they are on their way. It waits for
// their first tries; the others go on beside what follows.
func (s *submitters) submit(jobs []schemas.Job, began chan<- struct{}) {
	var first sync.WaitGroup
	for _, job := range jobs {
		first.Add(1)
		s.all.Go(func() { s.until(job, first.Done) })
	}
	close(began)
	first.Wait()
}

// until sends a job, to any of the intakes, until one answers.
func (s *submitters) until(job schemas.Job, tried func()) {
	data := encoded(s.w.t, job)
	for began := time.Now(); time.Since(began) < 2*patienceOfTests; {
		code, wait, err := s.send(job.ID, data)
		tried()
		tried = func() {}
		switch {
		case err == nil && code/100 == 2:
			if code == http.StatusOK {
				s.known.Add(1)
			}
			return
		case err == nil && code != http.StatusServiceUnavailable:
			s.w.t.Errorf("%s was answered with %d", job.ID, code)
			return
		}
		s.unanswered.Add(1)
		time.Sleep(min(wait, 5*time.Second) + 100*time.Millisecond)
	}
	s.w.t.Errorf("%s was never answered", job.ID)
}

func (s *submitters) send(id string, data []byte) (code int, wait time.Duration, err error) {
	door := s.doors[rand.IntN(len(s.doors))]
	r, err := http.NewRequestWithContext(s.w.t.Context(), "PUT", fmt.Sprintf("http://127.0.0.1:%d/v1/jobs/%s", door.port, id), bytes.NewReader(data))
	if err != nil {
		return 0, 0, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, 0, err // it was killed while it answered
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return resp.StatusCode, time.Duration(seconds) * time.Second, nil
}

// deliveredOnce looks at what came to Redox, and at the events.
func (s *submitters) deliveredOnce(jobs []schemas.Job) {
	s.w.t.Helper()
	came := map[string]int{}
	for _, m := range s.w.sim.Messages() {
		data, err := m.Files[0].Bytes()
		if err != nil {
			s.w.t.Fatal(err)
		}
		came[sha(data)]++
	}
	duplicates := 0
	for _, job := range jobs {
		data := document(600, job.ID)
		if n := came[sha(data)]; n != 1 {
			s.w.t.Errorf("%s came %d times: %s", job.ID, n, s.w.statuses(job.ID))
		}
		if strings.Contains(s.w.statuses(job.ID), "duplicate") {
			duplicates++
		}
	}
	s.w.t.Logf("%d jobs were in the queue twice", duplicates)
}

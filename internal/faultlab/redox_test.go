package faultlab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

// redox is the simulator and the log of every request that reached it.
type redox struct {
	sim *redoxsim.Server
	// environment is what a worker must be told of its client.
	environment []string

	mu       sync.Mutex
	requests []Request
	// slow are the destinations whose messages are read at 20 kB a second.
	slow []string
	// poison: messages of poisonous jobs are answered 500.
	poison bool
}

// trickle sets the destinations that are slow to read, also of messages on their
// way.
func (r *redox) trickle(destinations []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = destinations
}

// trickling is the body of a message that may be read slowly.
type trickling struct {
	io.ReadCloser
	redox   *redox
	request *http.Request
}

func (b *trickling) Read(p []byte) (int, error) {
	b.redox.mu.Lock()
	slow := slices.ContainsFunc(b.redox.slow, func(destination string) bool {
		return strings.Contains(b.request.URL.Path, "/"+destination+"/")
	})
	b.redox.mu.Unlock()
	if slow {
		p = p[:min(len(p), 2000)]
		pause(b.request.Context(), 100*time.Millisecond)
	}
	return b.ReadCloser.Read(p)
}

// poisonous starts the id of a job that may be answered 500 for ever.
const poisonous = "poison-"

// poisoned makes poisonous jobs fail, or get through.
func (r *redox) poisoned(fails bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poison = fails
}

// isPoison reports whether a message is of a poisonous job. It reads the body and
// puts it back.
func (r *redox) isPoison(req *http.Request) bool {
	r.mu.Lock()
	fails := r.poison
	r.mu.Unlock()
	if !fails || kindOf(req.URL.Path) != "message" {
		return false
	}
	body, err := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && bytes.Contains(body, []byte(poisonous))
}

// startRedox starts a simulator that takes as many requests of all workers
// together as rate says.
func startRedox(t testing.TB, rate redoxsim.RateLimit) *redox {
	t.Helper()
	return startRedoxWith(t, redoxsim.Config{Rate: rate})
}

// startRedoxWith starts a simulator whose only client it adds to its settings.
func startRedoxWith(t testing.TB, config redoxsim.Config) *redox {
	t.Helper()
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	config.Clients = []redoxsim.Client{credentials.Client}
	sim, err := redoxsim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(keyFile, credentials.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return &redox{sim: sim, environment: []string{
		"CHARTPOST_REDOX_ENVIRONMENT=Development",
		"CHARTPOST_REDOX_BLOB_HOSTS=blob.simulator.invalid",
		"CHARTPOST_REDOX_CLIENT_ID=" + credentials.ClientID,
		"CHARTPOST_REDOX_KEY_FILE=" + keyFile,
		"CHARTPOST_REDOX_KEY_ID=" + credentials.KeyID,
		"CHARTPOST_REDOX_SOURCE_ID=" + credentials.Client.Sources[0],
	}}
}

type workerKey struct{}

// egress is the one address that all workers' requests come from; their names
// stand where its port would.
const egress = "egress"

// senderOf is the worker of a request's address.
func senderOf(address string) string { return strings.TrimPrefix(address, egress+":") }

// newDoor opens one worker's own way to Redox, so that each request tells who
// sent it: also one that is served after its sender was killed.
func (r *redox) newDoor(t testing.TB, worker string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: r, ReadHeaderTimeout: patience, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		narrow(c)
		return context.WithValue(ctx, workerKey{}, worker)
	}}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	port, err := devstack.TakePort()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { port.Close() })
	d, err := NewProxy(fmt.Sprintf("127.0.0.1:%d", port.Number), listener.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { d.Close() })
	return d, nil
}

// ServeHTTP notes the request and lets the simulator answer it.
func (r *redox) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	from, _ := req.Context().Value(workerKey{}).(string)
	req.RemoteAddr = net.JoinHostPort(egress, from)
	noted := Request{From: from, Kind: kindOf(req.URL.Path), Start: time.Now()}
	answer := &answer{ResponseWriter: w}
	defer func() {
		noted.End, noted.Status = time.Now(), answer.status
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, noted)
	}()
	req.Body = &trickling{req.Body, r, req}
	if r.isPoison(req) {
		http.Error(answer, "no", http.StatusInternalServerError)
		return
	}
	r.sim.ServeHTTP(answer, req)
}

func kindOf(path string) string {
	switch {
	case strings.HasSuffix(path, "/token"):
		return "token"
	case strings.HasSuffix(path, "/Binary"), path == "/upload":
		return "upload"
	}
	return "message"
}

// answer sees the status that the simulator writes.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the simulator cut and hijack the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// log is every request so far that has ended.
func (r *redox) log() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// losing are the actions that take a message and lose the answer.
var losing = map[redoxsim.Action]bool{
	redoxsim.CutAfterProcessing: true, redoxsim.StatusAfterProcessing: true, redoxsim.HangAfterProcessing: true,
	redoxsim.AnswerUnreadable: true, redoxsim.AnswerCut: true,
}

// lostAnswers counts the answers that the faults now in force made unreadable.
func (r *redox) lostAnswers() int {
	n := 0
	for _, f := range r.sim.Faults() {
		if losing[f.Fault.Action] && f.Fault.Match.Kind == redoxsim.MessageRequest {
			n += f.Fired
		}
	}
	return n
}

// late counts the messages that Redox took and answered when their worker had
// stopped to wait, or was about to: a machine that has no time for Redox loses
// answers too.
func late(requests []Request, patience time.Duration) int {
	n := 0
	for _, r := range requests {
		if r.Kind == "message" && r.Status == http.StatusOK && r.End.Sub(r.Start) > patience/2 {
			n++
		}
	}
	return n
}

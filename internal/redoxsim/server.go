package redoxsim

import (
	"net/http"
	"os"
	"sync"
	"time"
)

// Server is the simulated Redox, an http.Handler. It starts no goroutines.
type Server struct {
	cfg     Config
	spool   *spool
	parsing chan struct{}
	done    chan struct{}
	closing sync.Once

	mu       sync.Mutex
	audience string
	clients  map[string]*client
	tokens   map[string]grant
	replays  map[string]time.Time
	windows  map[string][]time.Time
	messages []Message
	uploads  map[string]*Upload
	requests []Request
	seen     int
	rules    []*rule
	changed  chan struct{}
}

type client struct {
	id      string
	keys    map[string]any
	sources []string
}

// grant is what an access token stands for.
type grant struct {
	client  *client
	expires time.Time
}

// target is what is known of a request's aim.
type target struct {
	kind         Kind
	operation    string
	destinations []string
	environment  string
	path         string
	dataModel    bool
}

// spool is the directory of arrived bytes.
type spool struct {
	dir       string
	temporary bool
}

// ServeHTTP serves Redox's hosts, all under one address, and /_sim/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "not yet", http.StatusNotImplemented)
}

// RevokeTokens makes every token issued so far invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Close ends hanging and delayed requests and removes the temporary files.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		if s.spool.temporary {
			err = os.RemoveAll(s.spool.dir)
		}
	})
	return err
}

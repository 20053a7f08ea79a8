package faultlab

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// storeLine is the workers' way to the object store, on which single buckets can be
// slow or hang.
type storeLine struct {
	url   string
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	// rates are bytes a second by bucket; 0 lets none through.
	rates map[string]int
	done  chan struct{}
}

func newStoreLine(t testing.TB, store string) *storeLine {
	t.Helper()
	target, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	line := &storeLine{rates: map[string]int{}, done: make(chan struct{})}
	// The host that was signed goes on.
	line.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(line)
	line.url = server.URL
	t.Cleanup(func() { close(line.done); server.Close() })
	return line
}

// set makes a bucket slow.
func (s *storeLine) set(bucket string, rate int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rates[bucket] = rate
}

// heal makes every bucket as fast as it is.
func (s *storeLine) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.rates)
}

func (s *storeLine) rate(bucket string) (rate int, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rate, slow = s.rates[bucket]
	return rate, slow
}

func (s *storeLine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	for {
		if rate, slow := s.rate(bucket); !slow || rate > 0 || r.Method == http.MethodPut {
			break
		}
		if !s.rest(r, 100*time.Millisecond) {
			return
		}
	}
	s.proxy.ServeHTTP(&slowWriter{ResponseWriter: w, line: s, request: r, bucket: bucket}, r)
}

// rest waits, and reports whether somebody still wants the answer.
func (s *storeLine) rest(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// slowWriter gives an answer at the rate of its bucket.
type slowWriter struct {
	http.ResponseWriter
	line    *storeLine
	request *http.Request
	bucket  string
}

func (w *slowWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		rate, slow := w.line.rate(w.bucket)
		if !slow {
			n, err := w.ResponseWriter.Write(p[written:])
			return written + n, err
		}
		piece := p[written:min(len(p), written+max(rate/10, 1))]
		n, err := w.ResponseWriter.Write(piece)
		if written += n; err != nil {
			return written, err
		}
		if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
			return written, err
		}
		if !w.line.rest(w.request, 100*time.Millisecond) {
			return written, io.ErrClosedPipe
		}
	}
	return written, nil
}

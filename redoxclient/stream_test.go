package redoxclient

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestManyLargeUploadsStream(t *testing.T) {
	for _, op := range uploads {
		t.Run(string(op), func(t *testing.T) { manyLargeUploads(t, op) })
	}
}

func manyLargeUploads(t *testing.T, op Op) {
	const n, size = 64, 30_000_000
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got, err := io.Copy(io.Discard, r.Body); err != nil || got != r.ContentLength || got < size || got > size+1000 {
			t.Errorf("%d bytes, %v", got, err)
		}
		w.Header().Set("Location", blobURL)
		w.WriteHeader(201)
	})
	c := newClient(t, url, func(cfg *Config) { cfg.Concurrency = n })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := callOp(t.Context(), c, op, zeros(size)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	// All that was ever allocated, by client and server: a copy buffer or two
	// a request, and nothing that grows with the file.
	got := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d KiB allocated", got>>10)
	if got > 64<<20 {
		t.Errorf("%d bytes were allocated for %d files", got, n)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("calls", func(t *testing.T) {
		good := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		rude := serveRaw(t, func(conn net.Conn, r *bufio.Reader) { readHead(r, false); reset(conn) })
		early := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(422) })
		for _, url := range []string{good, rude, early} {
			c := newClient(t, url, noExpect)
			for range 10 {
				_, _ = send(t.Context(), c, Bytes(bytes.Repeat([]byte("x"), 5<<20)))
				for _, op := range uploads {
					_ = callOp(t.Context(), c, op, stuckWithin(t))
				}
			}
		}
	})
	deadline := time.Now().Add(2 * time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

// stuckWithin fails soon, in the middle of the body.
func stuckWithin(*testing.T) Body {
	return Body{Size: 10, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("abc"), errReader{})), nil
	}}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errSource }

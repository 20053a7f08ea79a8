// The breaks of a connection stand in one long file, in the order in which a
// request meets them, so that a missing one is seen.

package redoxclient

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// large does not fit into the buffers between the two sides, so that a server
// that stops reading leaves it unfinished.
const large = 64 << 20

// noExpect makes a large body start at once though the server says nothing.
func noExpect(cfg *Config) { cfg.Timeouts.Continue = time.Millisecond }

func TestBreaks(t *testing.T) {
	dead := serveRaw(t, func(net.Conn, *bufio.Reader) {})
	closed := func() string {
		l := must(net.Listen("tcp", "127.0.0.1:0"))
		defer l.Close()
		return "http://" + l.Addr().String()
	}()
	answer := func(whole bool, text string) string {
		return serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, whole)
			_, _ = io.WriteString(conn, text)
		})
	}
	cases := map[string]struct {
		url          string
		size         int64
		send, upload Kind
		code         string
		where        Where
	}{
		"nobody listens": {closed, 10, Retryable, Retryable, CodeConnect, BeforeSending},
		"no such host":   {"https://host.invalid", 10, Retryable, Retryable, CodeDNS, BeforeSending},
		"reset in the body": {serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, false)
			_, _ = io.CopyN(io.Discard, r, 1000)
			reset(conn)
		}), large, Retryable, Retryable, CodeConnectionBroken, WhileSending},
		"closed at once, large": {dead, large, Retryable, Retryable, CodeConnectionBroken, ""},
		"reset after the body": {serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, true)
			reset(conn)
		}), 10, UnknownOutcome, Retryable, CodeConnectionBroken, WhileWaiting},
		"closed after the body":  {answer(true, ""), 10, UnknownOutcome, Retryable, CodeConnectionBroken, WhileWaiting},
		"rubbish after the body": {answer(true, "CANARY\r\n\r\n"), 10, UnknownOutcome, Retryable, CodeConnectionBroken, WhileWaiting},
		"cut status line":        {answer(true, "HTTP/1.1 20"), 10, UnknownOutcome, Retryable, CodeConnectionBroken, WhileWaiting},
		"endless headers": {answer(true, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("CANARY", 20000)+"\r\n\r\n"),
			10, UnknownOutcome, Retryable, CodeConnectionBroken, WhileWaiting},
		"cut answer":  {answer(true, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"CANARY"), 10, UnknownOutcome, Retryable, CodeAnswerCut, WhileReading},
		"cut chunked": {answer(true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nCANARY\r\n"), 10, UnknownOutcome, Retryable, CodeAnswerCut, WhileReading},
		"oversized": {answer(true, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}"+strings.Repeat(" ", 2000000-2)),
			10, UnknownOutcome, Retryable, CodeAnswerTooLarge, WhileReading},
		"early 2xx":           {answer(false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), large, UnknownOutcome, Retryable, CodeEarlyAnswer, Answered},
		"switching protocols": {answer(true, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nCANARY"), 10, Permanent, Permanent, CodeStatus, Answered},
		"cut refusal":         {answer(true, "HTTP/1.1 422 CANARY\r\nContent-Length: 100\r\n\r\nCANARY"), 10, Permanent, Permanent, CodeStatus, Answered},
	}
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			t.Run(name+" "+string(op), func(t *testing.T) {
				c := newClient(t, tc.url, noExpect)
				if name == "early 2xx" {
					c = newClient(t, tc.url) // the answer comes before "100 Continue"
				}
				e := wantError(t, callOp(t.Context(), c, op, zeros(tc.size)), kind, tc.code)
				if tc.where != "" && e.Where != tc.where {
					t.Errorf("where: got %q, want %q", e.Where, tc.where)
				}
			})
		}
	}
}

func TestRefusalBeforeTheBody(t *testing.T) {
	for _, status := range []string{"401", "413", "429", "503", "504"} {
		var opened, read atomic.Int64
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(map[string]int{"401": 401, "413": 413, "429": 429, "503": 503, "504": 504}[status])
		})
		body := Body{Size: large, Open: func(context.Context) (io.ReadCloser, error) {
			opened.Add(1)
			return io.NopCloser(countReader{&read}), nil
		}}
		c := newClient(t, url, func(cfg *Config) { cfg.Timeouts.Continue = time.Minute })
		want := map[string]Kind{"401": Credentials, "413": TooLarge, "429": RateLimited, "503": Retryable, "504": Retryable}[status]
		_, err := send(t.Context(), c, body)
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != want {
			t.Errorf("%s: got %v", status, err)
		}
		if read.Load() != 0 {
			t.Errorf("%s: %d reads of the source", status, read.Load())
		}
	}
}

// A server that means to keep the connection would be sent the whole body by
// net/http after its refusal.
func TestRefusalOnAConnectionToKeep(t *testing.T) {
	var read atomic.Int64
	url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r, false)
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	body := Body{Size: large, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(countReader{&read}), nil
	}}
	c := newClient(t, url, func(cfg *Config) { cfg.Timeouts.Continue = time.Minute })
	wantError(t, callOp(t.Context(), c, OpSend, body), TooLarge, CodeStatus)
	if read.Load() != 0 {
		t.Errorf("%d reads of the source", read.Load())
	}
}

type countReader struct{ n *atomic.Int64 }

func (c countReader) Read(p []byte) (int, error) { c.n.Add(1); return len(p), nil }

// source reads data, then ends with err.
type source struct {
	io.Reader
	err    error
	closed *atomic.Int64
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		return n, s.err
	}
	return n, err
}

func (s source) Close() error { s.closed.Add(1); return nil }

var errSource = errors.New("CANARY s3 key")

func TestSourceFaults(t *testing.T) {
	cases := map[string]struct {
		size, gives int64
		end         error
		code        string
	}{
		"short":             {size: 100, gives: 99, end: io.EOF, code: CodeSourceSize},
		"long":              {size: 100, gives: 101, end: io.EOF, code: CodeSourceSize},
		"short and large":   {size: large, gives: large - 1, end: io.EOF, code: CodeSourceSize},
		"long and large":    {size: 1 << 20, gives: 2 << 20, end: io.EOF, code: CodeSourceSize},
		"empty":             {size: 100, end: io.EOF, code: CodeSourceSize},
		"broken":            {size: 100, gives: 50, end: errSource, code: CodeSource},
		"broken checksum":   {size: 100, gives: 100, end: errSource, code: CodeSource},
		"unexpected end":    {size: 100, gives: 50, end: io.ErrUnexpectedEOF, code: CodeSource},
		"exact":             {size: 100, gives: 100, end: io.EOF},
		"exact and large":   {size: 3 << 20, gives: 3 << 20, end: io.EOF},
		"exact to a buffer": {size: 32 << 10, gives: 32 << 10, end: io.EOF},
	}
	var whole atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n == r.ContentLength {
			whole.Add(1)
		}
		w.Header().Set("Location", blobURL)
	})
	for name, tc := range cases {
		for _, op := range allOps {
			t.Run(name+" "+string(op), func(t *testing.T) {
				var closed atomic.Int64
				before := whole.Load()
				body := Body{Size: tc.size, Open: func(context.Context) (io.ReadCloser, error) {
					return source{io.LimitReader(zeroReader{}, tc.gives), tc.end, &closed}, nil
				}}
				err := callOp(t.Context(), newClient(t, url), op, body)
				if closed.Load() != 1 {
					t.Errorf("closed %d times", closed.Load())
				}
				if tc.code == "" {
					if err != nil || whole.Load() != before+1 {
						t.Fatal(err)
					}
					return
				}
				e := wantError(t, err, Retryable, tc.code)
				if size, ok := errors.AsType[*SizeError](err); ok != (tc.code == CodeSourceSize) || ok && size.Announced != tc.size {
					t.Errorf("cause: %v", e.Unwrap())
				}
				if tc.end == errSource && !errors.Is(err, errSource) {
					t.Error("the source's error cannot be reached")
				}
				if whole.Load() != before {
					t.Error("the server saw a whole request")
				}
			})
		}
	}
	for _, fault := range []error{errSource, nil} {
		for _, op := range allOps {
			t.Run("open fails "+string(op), func(t *testing.T) {
				body := Body{Size: 1, Open: func(context.Context) (io.ReadCloser, error) { return nil, fault }}
				err := callOp(t.Context(), newClient(t, url), op, body)
				if e := wantError(t, err, Retryable, CodeSource); e.Where != BeforeSending || fault != nil && !errors.Is(err, fault) {
					t.Errorf("got %v", e)
				}
			})
		}
	}
}

// stuck is a source that gives some bytes and then nothing until ctx ends.
func stuck(size, gives int64) Body {
	return Body{Size: size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(io.LimitReader(zeroReader{}, gives), ctxReader{ctx})), nil
	}}
}

type ctxReader struct{ ctx context.Context }

func (r ctxReader) Read([]byte) (int, error) { <-r.ctx.Done(); return 0, r.ctx.Err() }

func TestStandstill(t *testing.T) {
	// Longer than a busy machine needs to get to the point where it stands still.
	const still = 500 * time.Millisecond
	quick := func(cfg *Config) { cfg.Timeouts.Stall, cfg.Timeouts.Continue = still, time.Millisecond }
	impatient := func(cfg *Config) { cfg.Timeouts.Answer = still }
	hang := func(whole bool, text string) string {
		done := make(chan struct{})
		url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, whole)
			_, _ = io.WriteString(conn, text)
			<-done
		})
		t.Cleanup(func() { close(done) }) // before the server waits for its handlers
		return url
	}
	half := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
	cases := map[string]struct {
		url          string
		body         Body
		change       func(*Config)
		send, upload Kind
		code         string
		where        Where
	}{
		"server stops reading":  {hang(false, ""), zeros(large), quick, Retryable, Retryable, CodeStalled, WhileSending},
		"source stops at once":  {hang(true, ""), stuck(10, 0), quick, Retryable, Retryable, CodeSourceStalled, BeforeSending},
		"source stops midway":   {hang(true, ""), stuck(10, 5), quick, Retryable, Retryable, CodeSourceStalled, WhileSending},
		"source lacks its end":  {hang(true, ""), stuck(10, 10), quick, Retryable, Retryable, CodeSourceStalled, BeforeSending},
		"no answer":             {hang(true, ""), zeros(10), impatient, UnknownOutcome, Retryable, CodeAnswerTimeout, WhileWaiting},
		"answer stops midway":   {hang(true, half), zeros(10), quick, UnknownOutcome, Retryable, CodeStalled, WhileReading},
		"answer takes for ever": {hang(true, half), zeros(10), impatient, UnknownOutcome, Retryable, CodeAnswerTimeout, WhileReading},
	}
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			t.Run(name+" "+string(op), func(t *testing.T) {
				t.Parallel()
				e := wantError(t, callOp(t.Context(), newClient(t, tc.url, tc.change), op, tc.body), kind, tc.code)
				where := tc.where
				if op == OpUploadBlob && tc.code == CodeSourceStalled {
					where = WhileSending // the form has begun
				}
				if e.Where != where {
					t.Errorf("where: got %q, want %q", e.Where, where)
				}
			})
		}
	}
}

func TestCancellation(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	gone := errors.New("CANARY gone")
	arrived := make(chan bool, 1)
	half := "HTTP/1.1 200 OK\r\nLocation: \r\nContent-Length: 9\r\n\r\n{"
	hang := func(text string) string {
		done := make(chan struct{})
		url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, text != "-")
			if text != "-" {
				_, _ = io.WriteString(conn, text)
			}
			arrived <- true
			<-done
		})
		t.Cleanup(func() { close(done) })
		return url
	}
	cases := map[string]struct {
		url          string
		size         int64
		send, upload Kind
	}{
		"in the body":     {hang("-"), large, Interrupted, Interrupted},
		"after the body":  {hang(""), 10, UnknownOutcome, Interrupted},
		"in the answer":   {hang(half), 10, UnknownOutcome, Interrupted},
		"before anything": {nowhere, 10, Interrupted, Interrupted},
	}
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			t.Run(name+" "+string(op), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				go func() {
					if tc.url != nowhere {
						<-arrived
					}
					cancel(gone)
				}()
				if tc.url == nowhere {
					<-ctx.Done()
				}
				err := callOp(ctx, newClient(t, tc.url, noExpect), op, zeros(tc.size))
				wantError(t, err, kind, CodeCancelled)
				if !errors.Is(err, gone) {
					t.Error("the caller's reason cannot be reached")
				}
			})
		}
	}
}

// A connection the server closed while it lay idle must not look like a lost
// answer: the message goes out on another one.
func TestIdleConnectionDied(t *testing.T) {
	var requests, opened atomic.Int64
	hangUp := make(chan struct{})
	url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r, true)
		requests.Add(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		<-hangUp
	})
	t.Cleanup(func() { close(hangUp) })
	c := newClient(t, url)
	body := Body{Size: 3, Open: func(context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		return io.NopCloser(strings.NewReader("abc")), nil
	}}
	if _, err := send(t.Context(), c, body); err != nil {
		t.Fatal(err)
	}
	// A write that wrote nothing, as on a connection that is known to be dead.
	c2, first := newClient(t, url), &mortal{}
	first.plant(c2)
	for range 2 {
		if _, err := send(t.Context(), c2, body); err != nil {
			t.Fatal(err)
		}
		first.limit.Store(first.writes.Load())
	}
	if first.dials.Load() != 2 || requests.Load() != 3 || opened.Load() != 4 {
		t.Errorf("%d connections, %d requests, %d openings", first.dials.Load(), requests.Load(), opened.Load())
	}
}

// When the kernel refuses the end of the body, nobody can have received it.
func TestLastWriteFails(t *testing.T) {
	url := serveRaw(t, func(_ net.Conn, r *bufio.Reader) { readHead(r, true) })
	cases := map[error]Kind{
		&net.OpError{Op: "write", Err: syscall.EPIPE}: Retryable,
		errors.New("CANARY of unknown origin"):        UnknownOutcome,
	}
	for fault, kind := range cases {
		c, first := newClient(t, url), &mortal{err: fault}
		first.limit.Store(1) // the headers pass, the body does not
		first.plant(c)
		wantError(t, callOp(t.Context(), c, OpSend, canaryBody()), kind, CodeConnectionBroken)
	}
}

// mortal is a client's first connection; it fails after limit writes.
type mortal struct {
	net.Conn
	err                  error
	dials, writes, limit atomic.Int64
}

func (m *mortal) plant(c *Client) {
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil && m.dials.Add(1) == 1 {
			m.Conn = conn
			return m, nil
		}
		return conn, err
	}
}

func (m *mortal) Write(p []byte) (int, error) {
	if limit := m.limit.Load(); limit > 0 && m.writes.Load() >= limit {
		return 0, cmp.Or(m.err, errSource)
	}
	m.writes.Add(1)
	return m.Conn.Write(p)
}

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
	deadline := time.Now().Add(20 * time.Second)
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

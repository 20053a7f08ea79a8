package redoxclient

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
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
	// Not a port that was just closed: another program may listen on it by now.
	const closed = "http://127.0.0.1:1"
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
		"empty up to the end of the connection": {answer(true, "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n\r\n"),
			10, UnknownOutcome, Retryable, CodeAnswerCut, WhileReading},
		"empty, of HTTP/1.0":     {answer(true, "HTTP/1.0 201 Created\r\nContent-Type: application/fhir+json\r\n\r\n"), 10, UnknownOutcome, Retryable, CodeAnswerCut, WhileReading},
		"white space and no end": {answer(true, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\r\n"), 10, UnknownOutcome, Retryable, CodeAnswerCut, WhileReading},
		"oversized": {answer(true, "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}"+strings.Repeat(" ", 2000000-2)),
			10, UnknownOutcome, Retryable, CodeAnswerTooLarge, WhileReading},
		"early 2xx":           {answer(false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), large, UnknownOutcome, Retryable, CodeEarlyAnswer, Answered},
		"switching protocols": {answer(true, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nCANARY"), 10, UnknownOutcome, Retryable, CodeStatus, Answered},
		"cut refusal":         {answer(true, "HTTP/1.1 422 CANARY\r\nContent-Length: 100\r\n\r\nCANARY"), 10, Permanent, Permanent, CodeStatus, Answered},
	}
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			t.Run(name+" "+string(op), func(t *testing.T) {
				c := newClient(t, tc.url, noExpect)
				if name == "early 2xx" {
					// The answer comes before "100 Continue".
					c = newClient(t, tc.url, func(cfg *Config) { cfg.Timeouts.Continue = time.Minute })
				}
				e := wantError(t, callOp(t.Context(), c, op, zeros(tc.size)), kind, tc.code)
				if tc.where != "" && e.Where != tc.where {
					t.Errorf("where: got %q, want %q", e.Where, tc.where)
				}
			})
		}
	}
}

// An empty answer of which the server says that it ends is a success, and so is
// one that the end of the connection alone ends, where its content shows that
// it is whole or a header has all that is needed.
func TestAnswersThatHaveAnEnd(t *testing.T) {
	const located = "Location: " + blobURL + "\r\n"
	cases := map[string]struct {
		answer string
		ops    []Op
	}{
		"length 0":          {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", sends},
		"204":               {"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", sends},
		"no chunks":         {"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", sends},
		"JSON":              {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", sends},
		"JSON of HTTP/1.0":  {"HTTP/1.0 200 OK\r\n\r\n{}", sends},
		"located":           {"HTTP/1.1 201 Created\r\nConnection: close\r\n" + located + "\r\n", uploads},
		"located, HTTP/1.0": {"HTTP/1.0 201 Created\r\n" + located + "\r\n", uploads},
	}
	for name, tc := range cases {
		url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, true)
			_, _ = io.WriteString(conn, tc.answer)
		})
		for _, op := range tc.ops {
			t.Run(name+" "+string(op), func(t *testing.T) {
				if err := callOp(t.Context(), newClient(t, url), op, canaryBody()); err != nil {
					t.Error(err)
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

package redoxclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
)

const (
	testSource = "0f8fad5b-d9cb-469f-a165-70867728950e"
	testPath   = "DocumentReference/$documentreference-create"
	blobURL    = "https://blob.redoxengine.com/abc"
)

// fixedTokens gives t1, then t2 once t1 was refused, and so on.
type fixedTokens struct {
	mu      sync.Mutex
	n       int
	asked   int
	dropped []string
	err     error
}

func (f *fixedTokens) TokenContext(context.Context) (*oauth2.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return &oauth2.Token{AccessToken: fmt.Sprintf("t%d-CANARYTOKEN", f.n+1)}, f.err
}

func (f *fixedTokens) Invalidate(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.dropped = append(f.dropped, token)
}

func newClient(t testing.TB, url string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{APIURL: url, BlobURL: url, Environment: "Development", Tokens: &fixedTokens{}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve runs handler over HTTP.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// serveRaw gives each connection to handle and closes it after.
func serveRaw(t testing.TB, handle func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				handle(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

// readHead reads a request's headers, and its body too when whole.
func readHead(r *bufio.Reader, whole bool) {
	req, err := http.ReadRequest(r)
	if err == nil && whole {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// reset closes conn with a TCP reset.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// zeros is a body of n bytes without memory.
func zeros(n int64) Body {
	return Body{Size: n, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeroReader{}, n)), nil
	}}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func canaryBody() Body { return Bytes([]byte("CANARY body")) }

func send(ctx context.Context, c *Client, body Body) (*Receipt, error) {
	return c.Send(ctx, SendRequest{Destination: "good-health", Path: testPath, SourceID: testSource, Body: body})
}

func upload(ctx context.Context, c *Client, body Body) (*Upload, error) {
	return c.Upload(ctx, UploadRequest{SourceID: testSource, ContentType: "application/pdf", Body: body})
}

// The tables run over all operations.
var (
	sends   = []Op{OpSend, OpSendDataModel}
	uploads = []Op{OpUpload, OpUploadBlob}
	allOps  = slices.Concat(sends, uploads)
)

// callOp calls any by name.
func callOp(ctx context.Context, c *Client, op Op, body Body) (err error) {
	switch op {
	case OpSend:
		_, err = send(ctx, c, body)
	case OpSendDataModel:
		_, err = c.SendDataModel(ctx, DataModelRequest{Body: body})
	case OpUpload:
		_, err = upload(ctx, c, body)
	case OpUploadBlob:
		_, err = uploadBlob(ctx, c, body)
	default:
		panic("no such operation")
	}
	return err
}

func uploadBlob(ctx context.Context, c *Client, body Body) (*Upload, error) {
	return c.UploadBlob(ctx, BlobRequest{SourceID: testSource, FileName: "CANARY name.pdf", ContentType: "application/pdf", Body: body})
}

// either is the kind wanted of a message or of a file.
func either(op Op, send, upload Kind) Kind {
	if op.Message() {
		return send
	}
	return upload
}

func wantError(t *testing.T, err error, kind Kind, code string) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want %s %s", err, kind, code)
	}
	if e.Kind != kind || e.Code != code {
		t.Fatalf("got %s %s, want %s %s: %v; cause %v", e.Kind, e.Code, kind, code, e, e.Unwrap())
	}
	noCanary(t, err)
	if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "://") {
		t.Errorf("the text holds an address: %v", err)
	}
	return e
}

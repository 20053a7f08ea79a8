package s3source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// crook sits between the SDK and the store and does to the next answers of GET
// what its tricks say, one trick an answer.
type crook struct {
	*httptest.Server
	connections atomic.Int32

	mu     sync.Mutex
	tricks []trick
	ranges []string // of the GETs seen
	pins   []string // their If-Match
}

// trick changes an answer, or the request before it is passed on.
type trick struct {
	request func(*http.Request)
	answer  func(*http.Response)
}

func newCrook(t *testing.T, tricks ...trick) *crook {
	t.Helper()
	store, err := url.Parse(storeURL)
	if err != nil {
		t.Fatal(err)
	}
	c := &crook{tricks: tricks}
	proxy := &httputil.ReverseProxy{
		// The Host header stays: it is signed.
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(store); r.Out.Host = r.In.Host },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			if next, ok := r.Request.Context().Value(trickKey{}).(trick); ok && next.answer != nil {
				next.answer(r)
			}
			return nil
		},
	}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if next, ok := c.next(r); ok {
				r = r.WithContext(context.WithValue(r.Context(), trickKey{}, next))
				if next.request != nil {
					next.request(r)
				}
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.connections.Add(1)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

type trickKey struct{}

func (c *crook) next(r *http.Request) (trick, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges = append(c.ranges, r.Header.Get("Range"))
	c.pins = append(c.pins, r.Header.Get("If-Match"))
	if len(c.tricks) == 0 {
		return trick{}, false
	}
	first := c.tricks[0]
	c.tricks = c.tricks[1:]
	return first, true
}

func (c *crook) pinned() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.pins...)
}

func (c *crook) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.ranges...)
}

// cutAt breaks the connection after n bytes of the body.
func cutAt(n int64) trick {
	return trick{answer: func(r *http.Response) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, n), broken{}), r.Body}
	}}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// stallAt sends n bytes and then nothing until the client goes away.
func stallAt(n int64) trick {
	return trick{answer: func(r *http.Response) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, n), silent{r.Request.Context()}), r.Body}
	}}
}

type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

// flipped changes the byte at n.
func flipped(n int64) trick {
	return trick{answer: func(r *http.Response) {
		whole, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		whole[n] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(whole))
	}}
}

// answers puts an error of S3's form, or a page of a proxy without a code, in
// place of what the store said.
func answers(status int, code string, headers ...string) trick {
	return trick{answer: func(r *http.Response) {
		body := fmt.Sprintf("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>canary</Message></Error>", code)
		if code == "" {
			body = "<html>canary</html>"
		}
		r.StatusCode = status
		r.Header = http.Header{"Content-Type": {"application/xml"}}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		r.Body = io.NopCloser(strings.NewReader(body))
	}}
}

func times(n int, one trick) []trick {
	all := make([]trick, n)
	for i := range all {
		all[i] = one
	}
	return all
}

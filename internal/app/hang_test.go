package app

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// hanging stands before the store. The first answer that is a whole object stops
// after some of its bytes, and its connection stays open.
type hanging struct {
	*httptest.Server
	after int64

	mu     sync.Mutex
	hung   bool
	ranges []string // of the GETs after that
}

func newHanging(t *testing.T, store string, after int64) *hanging {
	t.Helper()
	target, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	h := &hanging{after: after}
	h.Server = httptest.NewServer(&httputil.ReverseProxy{
		// The Host header stays: it is signed.
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		ModifyResponse: h.answer,
	})
	t.Cleanup(h.Close)
	return h
}

func (h *hanging) answer(r *http.Response) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.Request.Method != http.MethodGet:
	case h.hung:
		h.ranges = append(h.ranges, r.Request.Header.Get("Range"))
	case r.StatusCode == http.StatusOK:
		h.hung = true
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, h.after), forever{r.Request.Context()}), r.Body}
	}
	return nil
}

// resumed tells whether the rest was asked for.
func (h *hanging) resumed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.ranges, fmt.Sprintf("bytes=%d-", h.after))
}

// forever gives nothing until the client has gone.
type forever struct{ ctx context.Context }

func (f forever) Read([]byte) (int, error) { <-f.ctx.Done(); return 0, f.ctx.Err() }

// TestAHungStoreIsNotNoticed: the read is resumed before the upload that it feeds
// has waited too long, so that Redox sees one upload with a pause in it.
func TestAHungStoreIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	store := newHanging(t, w.settings.S3.Endpoint, 1_000_000)
	w.settings.S3.Endpoint = store.URL
	// The upload lasts for half of it, and has the other half to spare.
	w.settings.Delivery.Stall = 40 * time.Second
	w.worker()
	data := document(3_000_000, t.Name())
	w.publish(w.job("hung", []schemas.File{w.put("a.pdf", data)}, transfer(schemas.Upload)))
	event := w.final("hung")
	if got, want := w.statuses("hung"), "1/uploaded 1/accepted"; got != want {
		t.Errorf("events %q, want %q; the last says %+v", got, want, event.Data.Reason)
	}
	if !store.resumed() {
		t.Errorf("the read was not resumed where it hung; ranges %q", store.ranges)
	}
	uploads := 0
	for _, r := range w.sim.Requests() {
		if strings.HasSuffix(r.Path, "/Binary") {
			uploads++
		}
	}
	if uploads > 1 {
		t.Errorf("the file was uploaded in %d requests", uploads)
	}
	messages := w.sim.Messages()
	if len(messages) != 1 || len(messages[0].Files) != 1 || messages[0].Files[0].SHA256 != sha(data) {
		t.Errorf("Redox took %d messages, or one of another file", len(messages))
	}
}

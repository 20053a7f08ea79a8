package s3source

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// enough is after how many requests a store of these tests redirects no more,
// so that whoever follows comes to an end and can be told off.
const enough = 20

// redirecting is a store that answers every request by a redirect.
type redirecting struct {
	*httptest.Server
	asked atomic.Int32
}

func newRedirecting(t *testing.T, status int, location func(*http.Request) string, body string) *redirecting {
	t.Helper()
	s := &redirecting{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.asked.Add(1) > enough {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if to := location(r); to != "" {
			w.Header().Set("Location", to)
		}
		w.Header().Set("X-Amz-Bucket-Region", "eu-north-1")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestRedirectsAreNotFollowed: neither round and round, nor to another host,
// whom the object's key is none of.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var strangers atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer other.Close()
	locations := map[string]func(*http.Request) string{
		"to itself":       func(r *http.Request) string { return r.URL.String() },
		"to another host": func(r *http.Request) string { return other.URL + r.URL.String() },
		"to nowhere":      func(*http.Request) string { return "" },
		"to nonsense":     func(*http.Request) string { return "http://[::" + canary },
	}
	file := schemas.File{Bucket: "reports", Key: canary}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, location := range locations {
			for _, body := range []string{"", "<html>" + canary, "<Error><Code>PermanentRedirect</Code><Endpoint>" + canary + "</Endpoint></Error>"} {
				store := newRedirecting(t, status, location, body)
				for op, call := range calls(source(t, store.URL), file) {
					t.Run(fmt.Sprintf("%d %s %.6s %s", status, name, body, op), func(t *testing.T) {
						store.asked.Store(0)
						err := call(t)
						wantFault(t, err, fault.Retryable, "s3_region")
						if f := fault.Of(err); f.Scope != fault.Store {
							t.Errorf("scope %s", f.Scope)
						}
						saysNothing(t, err, file)
						if n := store.asked.Load(); n > 2 { // Stat asks twice
							t.Errorf("the store was asked %d times", n)
						}
					})
				}
			}
		}
	}
	if n := strangers.Load(); n != 0 {
		t.Errorf("%d requests reached another host", n)
	}
}

// calls are all that is asked of a store.
func calls(s *Source, file schemas.File) map[string]func(*testing.T) error {
	return map[string]func(*testing.T) error{
		"open": func(t *testing.T) error { _, err := s.Open(t.Context(), file, nil); return err },
		"stat": func(t *testing.T) error { _, err := s.Stat(t.Context(), file, nil); return err },
		"part": func(t *testing.T) error {
			_, err := s.Part(t.Context(), file, job.Pin{ETag: `"a"`, Size: 100}, 0, 10)
			return err
		},
		"put": func(t *testing.T) error {
			_, err := s.Put(t.Context(), Upload{Bucket: file.Bucket, Key: file.Key, Body: bytes.NewReader([]byte("x")), Size: 1})
			return err
		},
		"list": func(t *testing.T) error { _, err := listed(t, s, file.Bucket, ""); return err },
	}
}

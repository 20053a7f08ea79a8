package s3source

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// TestErrorsWithoutEnd is a store whose errors do not end: the read ends all the
// same, and the status decides.
func TestErrorsWithoutEnd(t *testing.T) {
	var written atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		for r.Context().Err() == nil {
			n, err := w.Write([]byte("<Error>" + strings.Repeat("x", 64<<10)))
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer store.Close()
	source, err := New(t.Context(), Config{Endpoint: store.URL, PathStyle: true, Credentials: storeOptions.Credentials()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Open(t.Context(), schemas.File{Bucket: "reports", Key: "a"}, nil)
	if f := fault.Of(err); err == nil || f.Code != "s3_refused" {
		t.Errorf("got %v", err)
	}
	// What the connection holds is in it too.
	if written.Load() > 64<<20 {
		t.Errorf("%d bytes of errors were taken", written.Load())
	}
}

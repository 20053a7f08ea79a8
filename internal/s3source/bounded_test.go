package s3source

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

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

// TestErrorsThatStandStill is a store that begins an error and does not go on.
func TestErrorsThatStandStill(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusInternalServerError)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := source(t, store.URL, func(c *Config) { c.Stall = time.Second })
	_, err := s.Open(ctx, schemas.File{Bucket: "reports", Key: "a"}, nil)
	wantFault(t, err, fault.Retryable, "s3_unavailable")
}

// TestCredentialsThatNeverCome: the SDK waits for a source of credentials as
// long as whoever asks.
func TestCredentialsThatNeverCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		chain := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			<-never
			return aws.Credentials{}, errors.New("too late")
		}))
		began := time.Now()
		_, err := namedCredentials{chain}.Retrieve(t.Context())
		if f := judge(t.Context(), err); f.Code != "s3_credentials" || f.Scope != fault.Store {
			t.Errorf("got %v", f)
		}
		if waited := time.Since(began); waited != credentialsWait {
			t.Errorf("waited %v", waited)
		}
	})
}

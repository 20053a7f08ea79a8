package s3source

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
)

func TestPartReadsARangeOfThePinnedObject(t *testing.T) {
	shelf, s := newShelf(t, false), source(t, storeURL)
	content := noise(100_000)
	file := shelf.put(t, "a.pdf", content)
	object := open(t, s, file, nil)
	object.Body.Close()
	for _, r := range [][2]int64{{0, 1}, {0, 4096}, {50_000, 10_000}, {99_999, 1}, {0, 100_000}} {
		got, err := s.Part(t.Context(), file, object.Pin, r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, content[r[0]:r[0]+r[1]]) {
			t.Errorf("part %v holds other bytes", r)
		}
	}
	shelf.put(t, "a.pdf", noise(100_001))
	for name, pin := range map[string]job.Pin{
		"replaced":   object.Pin,
		"wrong size": {ETag: open(t, s, file, nil).Pin.ETag, Size: 7},
	} {
		_, err := s.Part(t.Context(), file, pin, 0, 10)
		if f := fault.Of(err); f == nil || f.Code == "internal" {
			t.Errorf("%s: %v, want a fault", name, err)
		} else if name == "replaced" && f.Code != "file_changed" {
			t.Errorf("%s: %v, want file_changed", name, f)
		}
	}
}

// TestPartThatStandsStill is the store's fault, and no end of the worker.
func TestPartThatStandsStill(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, "a.pdf", noise(100_000))
	object := open(t, source(t, storeURL), file, nil)
	object.Body.Close()
	soon := func(c *Config) { c.Stall = time.Second }
	mute := trick{request: func(r *http.Request) { <-r.Context().Done() }}
	for name, hang := range map[string]trick{"no answer": mute, "midway": stallAt(100), "no byte": stallAt(0)} {
		_, err := source(t, newCrook(t, times(3, hang)...).URL, soon).Part(t.Context(), file, object.Pin, 0, 50_000)
		wantFault(t, err, fault.Retryable, "s3_stalled")
		if f := fault.Of(err); f.Scope != fault.Store {
			t.Errorf("%s: scope %s, want the store's", name, f.Scope)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	stopped := trick{request: func(r *http.Request) { cancel(); <-r.Context().Done() }}
	_, err := source(t, newCrook(t, stopped).URL).Part(ctx, file, object.Pin, 0, 10)
	wantFault(t, err, fault.Interrupted, "interrupted")
}

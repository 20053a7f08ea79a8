package s3source

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// TestAnotherObjectBeforeTheFirstByte: a read that breaks between the headers
// and the first byte is resumed from the start, where no range tells another
// object, on a store that takes any If-Match.
func TestAnotherObjectBeforeTheFirstByte(t *testing.T) {
	const pinned, other = "0123456789", "abcdefghij"
	for name, c := range map[string]struct {
		header map[string]string // of the second answer
		body   string
		code   string // none: it is the pinned object
	}{
		"the same":        {map[string]string{"ETag": `"a"`, "X-Amz-Version-Id": "v1"}, pinned, ""},
		"another ETag":    {map[string]string{"ETag": `"b"`, "X-Amz-Version-Id": "v1"}, other, "file_changed"},
		"another version": {map[string]string{"ETag": `"a"`, "X-Amz-Version-Id": "v2"}, other, "file_changed"},
		"another size":    {map[string]string{"ETag": `"a"`, "X-Amz-Version-Id": "v1"}, other + other, "file_changed"},
		"no name at all":  {nil, other, "file_unpinned"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			store := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					w.Header().Set("ETag", `"a"`)
					w.Header().Set("X-Amz-Version-Id", "v1")
					w.Header().Set("Content-Length", "10")
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					panic(http.ErrAbortHandler)
				}
				for name, value := range c.header {
					w.Header().Set(name, value)
				}
				io.WriteString(w, c.body)
			}))
			store.Config.ErrorLog = log.New(io.Discard, "", 0)
			store.Start()
			defer store.Close()
			object := open(t, source(t, store.URL), schemas.File{Bucket: "reports", Key: "k"}, nil)
			defer object.Body.Close()
			got, err := io.ReadAll(object.Body)
			if n := asked.Load(); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
			if c.code == "" {
				if err != nil || string(got) != pinned {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			wantFault(t, err, fault.Permanent, c.code)
			if len(got) > 0 {
				t.Errorf("%d bytes of another object were handed out", len(got))
			}
		})
	}
}

// TestWeakETags: one says nothing of the bytes, and no store takes it in
// If-Match. Beside a version nobody needs it.
func TestWeakETags(t *testing.T) {
	const etag = `W/"a"`
	weak := trick{answer: func(r *http.Response) { r.Header.Set("ETag", etag) }}
	t.Run("alone", func(t *testing.T) {
		shelf := newShelf(t, false)
		file := shelf.put(t, "k", noise(1000))
		named := file
		named.ETag = etag
		pin := &job.Pin{ETag: etag, Size: 1000}
		for name, c := range map[string]struct {
			file schemas.File
			pin  *job.Pin
		}{"unnamed": {file, nil}, "named": {named, nil}, "pinned": {file, pin}} {
			proxy := newCrook(t, weak)
			_, err := source(t, proxy.URL).Open(t.Context(), c.file, c.pin)
			if f := fault.Of(err); f == nil || f.Code != "file_unpinned" || f.Kind != fault.Permanent {
				t.Errorf("%s: %v, want file_unpinned", name, err)
			}
			if got := proxy.pinned(); !slices.Equal(got, []string{""}) {
				t.Errorf("%s: If-Match %q", name, got)
			}
		}
	})
	t.Run("beside a version", func(t *testing.T) {
		shelf, content := newShelf(t, true), noise(1000)
		file := shelf.put(t, "k", content)
		cut := trick{answer: func(r *http.Response) { weak.answer(r); cutAt(500).answer(r) }}
		proxy := newCrook(t, cut, weak, weak, weak)
		s := source(t, proxy.URL)
		object := open(t, s, file, nil)
		if !bytes.Equal(read(t, object), content) {
			t.Error("other content")
		}
		part, err := s.Part(t.Context(), file, object.Pin, 10, 20)
		if err != nil || !bytes.Equal(part, content[10:30]) {
			t.Errorf("a part: %d bytes, %v", len(part), err)
		}
		shelf.put(t, "k", noise(1001))
		if !bytes.Equal(read(t, open(t, s, file, &object.Pin)), content) {
			t.Error("other content by the pin")
		}
		if got := proxy.pinned(); !slices.Equal(got, make([]string, 4)) {
			t.Errorf("If-Match %q, want none", got)
		}
	})
}

package s3source

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
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

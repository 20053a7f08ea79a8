package s3source

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
)

const big = 3_000_000

func TestReadResumes(t *testing.T) {
	shelf, content := newShelf(t, false), noise(big)
	file := shelf.put(t, "k", content)
	for name, c := range map[string]struct {
		tricks []trick
		ranges []string
	}{
		"no break":             {nil, []string{""}},
		"before the first":     {[]trick{cutAt(0)}, []string{"", ""}},
		"once":                 {[]trick{cutAt(1_000_001)}, []string{"", "bytes=1000001-"}},
		"before the last":      {[]trick{cutAt(big - 1)}, []string{"", "bytes=2999999-"}},
		"thrice":               {[]trick{cutAt(10), cutAt(100_000), cutAt(1)}, []string{"", "bytes=10-", "bytes=100010-", "bytes=100011-"}},
		"the resume is 503":    {[]trick{cutAt(5), answers(503, "SlowDown")}, []string{"", "bytes=5-", "bytes=5-"}},
		"the resume is cut":    {[]trick{cutAt(5), cutAt(0)}, []string{"", "bytes=5-", "bytes=5-"}},
		"the resume is denied": {append([]trick{cutAt(5)}, answers(403, "ExpiredToken")), []string{"", "bytes=5-", "bytes=5-"}},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newCrook(t, c.tricks...)
			if !bytes.Equal(read(t, open(t, source(t, proxy.URL), file, nil)), content) {
				t.Error("other content")
			}
			if got := proxy.seen(); !slices.Equal(got, c.ranges) {
				t.Errorf("asked for %q, want %q", got, c.ranges)
			}
		})
	}
}

// TestProgressRenewsResumes: thirty breaks are well as long as bytes come, and
// six are too many when none do.
func TestProgressRenewsResumes(t *testing.T) {
	shelf, content := newShelf(t, false), noise(big)
	file := shelf.put(t, "k", content)
	proxy := newCrook(t, times(big/100_000, cutAt(100_000))...)
	if !bytes.Equal(read(t, open(t, source(t, proxy.URL), file, nil)), content) {
		t.Error("other content")
	}
	for name, sent := range map[string]int64{"nothing": 0, "a trickle": 1000} {
		t.Run(name, func(t *testing.T) {
			const first = 1000 // so that the file opens
			proxy := newCrook(t, append([]trick{cutAt(first)}, times(50, cutAt(sent))...)...)
			object := open(t, source(t, proxy.URL), file, nil)
			defer object.Body.Close()
			n, err := io.Copy(io.Discard, object.Body)
			wantFault(t, err, fault.Retryable, "s3_unavailable")
			if n != first+sent*resumes {
				t.Errorf("%d bytes before it gave up", n)
			}
			// A connection that closes with no byte of the body may take the
			// head along, and then the SDK asks again by itself.
			if got := len(proxy.seen()); got < resumes+1 || got > 3*(resumes+1) {
				t.Errorf("%d requests for %d resumes", got, resumes)
			}
			if _, again := object.Body.Read(make([]byte, 1)); again != err {
				t.Errorf("the next Read gives %v", again)
			}
		})
	}
}

// replaceBody puts another reader over the connection that object reads.
func replaceBody(object *pipeline.Object, over func(io.Reader) io.Reader) {
	b := object.Body.(*body)
	b.current.body = struct {
		io.Reader
		io.Closer
	}{over(b.current.body), b.current.body}
}

// TestOddEnds: a store that closes in good order before the size is a break
// like any other, and bytes that come together with an end count.
func TestOddEnds(t *testing.T) {
	shelf, content := newShelf(t, false), noise(1000)
	file, s := shelf.put(t, "k", content), source(t, storeURL)
	early := func(r io.Reader) io.Reader { return io.LimitReader(r, 400) }
	for name, over := range map[string]func(io.Reader) io.Reader{
		"a clean end too early":          early,
		"bytes and a clean end at once":  func(r io.Reader) io.Reader { return iotest.DataErrReader(early(r)) },
		"bytes and an error at once":     func(r io.Reader) io.Reader { return iotest.DataErrReader(io.MultiReader(early(r), broken{})) },
		"bytes and the true end at once": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			object := open(t, s, file, nil)
			replaceBody(object, over)
			if !bytes.Equal(read(t, object), content) {
				t.Error("other content")
			}
		})
	}
}

func TestBodyIsAWellBehavedReader(t *testing.T) {
	shelf, content := newShelf(t, false), noise(200_000)
	file := shelf.put(t, "k", content)
	object := open(t, source(t, newCrook(t, cutAt(70_000), cutAt(70_000)).URL), file, nil)
	defer object.Body.Close()
	if err := iotest.TestReader(object.Body, content); err != nil {
		t.Error(err)
	}
}

func TestReplacedMidway(t *testing.T) {
	content, other := noise(big), noise(big + 1)[:big]
	for name, c := range map[string]struct {
		versions bool
		change   func(*testing.T, shelf)
		code     string // none: the read goes on
	}{
		"replaced":            {false, func(t *testing.T, s shelf) { s.put(t, "k", other) }, "file_changed"},
		"cut short":           {false, func(t *testing.T, s shelf) { s.put(t, "k", content[:100]) }, "file_changed"},
		"deleted":             {false, func(t *testing.T, s shelf) { s.remove(t, s.file("k")) }, "file_missing"},
		"replaced, versioned": {true, func(t *testing.T, s shelf) { s.put(t, "k", other) }, ""},
		"deleted, versioned":  {true, func(t *testing.T, s shelf) { s.remove(t, s.file("k")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			shelf := newShelf(t, c.versions)
			object := open(t, source(t, newCrook(t, cutAt(1_000_000)).URL), shelf.put(t, "k", content), nil)
			defer object.Body.Close()
			first := make([]byte, 500_000)
			if _, err := io.ReadFull(object.Body, first); err != nil {
				t.Fatal(err)
			}
			c.change(t, shelf)
			rest, err := io.ReadAll(object.Body)
			if c.code != "" {
				wantFault(t, err, fault.Permanent, c.code)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := append(first, rest...); !bytes.HasPrefix(content, got) {
				t.Error("bytes of another object were handed out")
			}
		})
	}
}

func TestStoresThatIgnoreRanges(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, "k", noise(10_000))
	whole := trick{answer: func(r *http.Response) {
		r.StatusCode = http.StatusOK
		r.Header.Del("Content-Range")
	}}
	object := open(t, source(t, newCrook(t, cutAt(100), whole).URL), file, nil)
	defer object.Body.Close()
	_, err := io.Copy(io.Discard, object.Body)
	wantFault(t, err, fault.Retryable, "s3_protocol")
}

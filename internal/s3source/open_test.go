package s3source

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

func read(t *testing.T, object *pipeline.Object) []byte {
	t.Helper()
	defer object.Body.Close()
	content, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(content), err)
	}
	return content
}

func open(t *testing.T, s *Source, file schemas.File, pin *job.Pin) *pipeline.Object {
	t.Helper()
	object, err := s.Open(t.Context(), file, pin)
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	return object
}

func TestOpenReadsWhatWasStored(t *testing.T) {
	shelf, s := newShelf(t, false), source(t, storeURL)
	for _, size := range []int{0, 1, 4096, 1 << 20} {
		content := noise(size)
		file := shelf.put(t, "a/b c+ü.pdf", content)
		object := open(t, s, file, nil)
		if object.Pin.Size != int64(size) || object.Pin.ETag == "" || object.ContentType != "application/pdf" {
			t.Errorf("%d bytes: pin %+v, type %q", size, object.Pin, object.ContentType)
		}
		if !bytes.Equal(read(t, object), content) {
			t.Errorf("%d bytes: other content", size)
		}
		told, err := s.Stat(t.Context(), file, &object.Pin)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(told.Pin, object.Pin) || told.ContentType != object.ContentType || told.Body != nil {
			t.Errorf("%d bytes: Stat says %+v", size, told)
		}
	}
}

func TestPinHoldsAnObjectWithoutVersions(t *testing.T) {
	shelf, s := newShelf(t, false), source(t, storeURL)
	file := shelf.put(t, "k", []byte("one"))
	first := open(t, s, file, nil)
	first.Body.Close()
	named := file
	named.ETag = strings.Trim(first.Pin.ETag, `"`)
	if got := read(t, open(t, s, named, nil)); string(got) != "one" {
		t.Errorf("by an ETag without quotes: %q", got)
	}
	if got := read(t, open(t, s, file, &first.Pin)); string(got) != "one" {
		t.Errorf("by the pin: %q", got)
	}
	shelf.put(t, "k", []byte("two"))
	_, err := s.Open(t.Context(), file, &first.Pin)
	wantFault(t, err, fault.Permanent, "file_changed")
	_, err = s.Open(t.Context(), named, nil)
	wantFault(t, err, fault.Permanent, "file_changed")
	_, err = s.Stat(t.Context(), file, &first.Pin)
	wantFault(t, err, fault.Permanent, "file_changed")
}

// TestPinsAreSent: the ETag is compared on both sides, so that a store that
// honors it does not send thirty megabytes for nothing.
func TestPinsAreSent(t *testing.T) {
	shelf, proxy := newShelf(t, false), newCrook(t, cutAt(500))
	file, s := shelf.put(t, "k", noise(1000)), source(t, proxy.URL)
	object := open(t, s, file, nil)
	read(t, object)
	read(t, open(t, s, file, &object.Pin))
	etag := object.Pin.ETag
	if got, want := proxy.pinned(), []string{"", etag, etag}; !slices.Equal(got, want) {
		t.Errorf("If-Match %q, want %q", got, want)
	}
}

func TestPinHoldsAVersion(t *testing.T) {
	shelf, s := newShelf(t, true), source(t, storeURL)
	file := shelf.put(t, "k", []byte("one"))
	first := open(t, s, file, nil)
	first.Body.Close()
	if first.Pin.VersionID == "" {
		t.Fatal("no version in the pin")
	}
	shelf.put(t, "k", []byte("two!"))
	if got := read(t, open(t, s, file, &first.Pin)); string(got) != "one" {
		t.Errorf("by the pin: %q", got)
	}
	named := file
	named.VersionID = first.Pin.VersionID
	if got := read(t, open(t, s, named, nil)); string(got) != "one" {
		t.Errorf("by version_id: %q", got)
	}
	other := first.Pin
	other.Size++
	_, err := s.Open(t.Context(), file, &other)
	wantFault(t, err, fault.Permanent, "file_changed")

	shelf.remove(t, file)
	_, err = s.Open(t.Context(), file, nil)
	wantFault(t, err, fault.Permanent, "file_missing")
	if got := read(t, open(t, s, file, &first.Pin)); string(got) != "one" {
		t.Errorf("by the pin, after a delete: %q", got)
	}
}

func TestVersionsThatAreNone(t *testing.T) {
	shelf, s := newShelf(t, true), source(t, storeURL)
	file := shelf.put(t, "k", []byte("one"))
	pinned := open(t, s, file, nil)
	pinned.Body.Close()

	gone := file
	gone.VersionID = pinned.Pin.VersionID
	in := &s3.DeleteObjectInput{Bucket: aws.String(file.Bucket), Key: aws.String(file.Key), VersionId: aws.String(gone.VersionID)}
	if _, err := shelf.client.DeleteObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	shelf.put(t, "k", []byte("two"))
	_, err := s.Open(t.Context(), gone, nil)
	wantFault(t, err, fault.Permanent, "file_changed")

	odd := file
	odd.VersionID = "no version of S3"
	_, err = s.Open(t.Context(), odd, nil)
	wantFault(t, err, fault.Permanent, "version_invalid")

	marker, err := shelf.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(file.Bucket), Key: aws.String(file.Key)})
	if err != nil {
		t.Fatal(err)
	}
	deleted := file
	deleted.VersionID = aws.ToString(marker.VersionId)
	_, err = s.Open(t.Context(), deleted, nil)
	wantFault(t, err, fault.Permanent, "file_missing")
}

// TestStoresThatIgnoreConditions: the ETag is compared here too, since some
// stores take any If-Match.
func TestStoresThatIgnoreConditions(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, "k", noise(1000))
	lies := func(header, value string) trick {
		return trick{answer: func(r *http.Response) { r.Header.Set(header, value) }}
	}
	lacks := func(header string) trick {
		return trick{answer: func(r *http.Response) { r.Header.Del(header) }}
	}
	unsized := trick{answer: func(r *http.Response) { r.Header.Del("Content-Length"); r.ContentLength = -1 }}
	pin := open(t, source(t, storeURL), file, nil).Pin
	for name, c := range map[string]struct {
		trick trick
		kind  fault.Kind
		code  string
	}{
		"another ETag": {lies("ETag", `"other"`), fault.Permanent, "file_changed"},
		"no ETag":      {lacks("ETag"), fault.Permanent, "file_unpinned"},
		"no size":      {unsized, fault.Retryable, "s3_protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := source(t, newCrook(t, c.trick).URL).Open(t.Context(), file, &pin)
			wantFault(t, err, c.kind, c.code)
		})
	}
}

func TestETagThatCannotBeSent(t *testing.T) {
	shelf, s := newShelf(t, false), source(t, storeURL)
	file := shelf.put(t, "k", []byte("one"))
	for _, etag := range []string{"a\r\nHost: b", "ü", "*"} {
		file.ETag = etag
		_, err := s.Open(t.Context(), file, nil)
		wantFault(t, err, fault.Permanent, "file_changed")
	}
}

// TestConnectionsAreReused: a body that was read to its end gives its
// connection back.
func TestConnectionsAreReused(t *testing.T) {
	shelf, proxy := newShelf(t, false), newCrook(t)
	file, s := shelf.put(t, "k", noise(200_000)), source(t, proxy.URL)
	for range 10 {
		read(t, open(t, s, file, nil))
	}
	if n := proxy.connections.Load(); n != 1 {
		t.Errorf("%d connections for 10 reads after each other", n)
	}
}

package s3source

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
)

func TestPut(t *testing.T) {
	shelf, s := newShelf(t, true), source(t, storeURL)
	content := noise(100_000)
	upload := Upload{Bucket: shelf.bucket, Key: "k", ContentType: "application/pdf", Body: bytes.NewReader(content), Size: int64(len(content)), IfAbsent: true}
	pin, err := s.Put(t.Context(), upload)
	if err != nil {
		t.Fatal(err)
	}
	object := open(t, s, shelf.file("k"), &pin)
	if !reflect.DeepEqual(object.Pin, pin) || object.ContentType != "application/pdf" || !bytes.Equal(read(t, object), content) {
		t.Errorf("pinned %+v, opened %+v", pin, object.Pin)
	}
	upload.Body = bytes.NewReader(content)
	_, err = s.Put(t.Context(), upload)
	wantFault(t, err, fault.Permanent, "file_exists")
	upload.Body, upload.IfAbsent = bytes.NewReader(content), false
	again, err := s.Put(t.Context(), upload)
	if err != nil || again.VersionID == pin.VersionID {
		t.Errorf("replaced: %+v, %v", again, err)
	}
	upload.Body, upload.Bucket = bytes.NewReader(content), "no-such-bucket"
	_, err = s.Put(t.Context(), upload)
	wantFault(t, err, fault.Permanent, "bucket_missing")
	upload.Body, upload.Bucket = bytes.NewReader(content), shelf.bucket
	_, err = source(t, storeURL, as("stranger", "stranger-secret")).Put(t.Context(), upload)
	wantFault(t, err, fault.Permanent, "put_forbidden")
}

func TestCheck(t *testing.T) {
	shelf := newShelf(t, false)
	codes := func(adjust func(*Config), entries ...string) []string {
		s := source(t, storeURL, func(c *Config) { c.Buckets = entries }, adjust)
		var got []string
		for i, checked := range s.Check(t.Context()) {
			if len(entries) > 0 && checked.Bucket != entries[i] {
				t.Errorf("result %d is of %q", i, checked.Bucket)
			}
			if checked.Fault == nil {
				got = append(got, "")
				continue
			}
			saysNothing(t, checked.Fault, shelf.file("k"))
			got = append(got, checked.Fault.Code)
		}
		return got
	}
	owner := func(*Config) {}
	for _, c := range []struct {
		adjust  func(*Config)
		entries []string
		want    []string
	}{
		{owner, nil, []string{""}},
		{owner, []string{shelf.bucket, shelf.bucket + "/some/", "canary-bucket"}, []string{"", "", "bucket_missing"}},
		{as("stranger", "stranger-secret"), []string{shelf.bucket}, []string{"list_forbidden"}},
		{as("nobody", "wrong"), []string{shelf.bucket}, []string{"s3_credentials"}},
		{as("stranger", "wrong"), nil, []string{"s3_credentials"}},
	} {
		if got := codes(c.adjust, c.entries...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.entries, got, c.want)
		}
	}
}

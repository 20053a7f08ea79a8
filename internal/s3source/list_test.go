package s3source

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

func listed(t *testing.T, s *Source, bucket, prefix string) (all []Listed, err error) {
	t.Helper()
	for one, err := range s.List(t.Context(), bucket, prefix) {
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// TestList lists more than one page, and what it may.
func TestList(t *testing.T) {
	shelf, s := newShelf(t, false), source(t, storeURL)
	for i := range 1005 {
		u := Upload{Bucket: shelf.bucket, Key: fmt.Sprintf("a/%04d", i), Body: bytes.NewReader([]byte("12345")), Size: 5}
		if i == 0 {
			u.Key = "b"
		}
		if _, err := s.Put(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	all, err := listed(t, s, shelf.bucket, "a/")
	if err != nil || len(all) != 1004 || all[0].Key != "a/0001" || all[0].Size != 5 || all[0].ETag == "" || time.Since(all[0].Modified).Abs() > time.Hour || !slices.IsSortedFunc(all, func(a, b Listed) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) }) {
		t.Errorf("%d objects, %v", len(all), err)
	}
	if all, err := listed(t, s, shelf.bucket, ""); len(all) != 1005 || err != nil {
		t.Errorf("%d objects, %v", len(all), err)
	}
	if all, err := listed(t, s, shelf.bucket, "nothing"); len(all) != 0 || err != nil {
		t.Errorf("%d objects, %v", len(all), err)
	}
	for range s.List(t.Context(), shelf.bucket, "") {
		break
	}
	_, err = listed(t, s, "no-such-bucket", "")
	wantFault(t, err, fault.Permanent, "bucket_missing")
	narrow := source(t, storeURL, func(c *Config) { c.Buckets = []string{shelf.bucket + "/a/"} })
	if all, err := listed(t, narrow, shelf.bucket, "a/"); len(all) != 1004 || err != nil {
		t.Errorf("%d objects, %v", len(all), err)
	}
	for _, prefix := range []string{"", "b", "a"} {
		if _, err := listed(t, narrow, shelf.bucket, prefix); err == nil {
			t.Errorf("prefix %q was listed", prefix)
		} else if f, ok := errors.AsType[*fault.Fault](err); !ok || f.Code != notAllowed.code {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

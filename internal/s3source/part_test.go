package s3source

import (
	"bytes"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
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
	for name, pin := range map[string]pipeline.Pin{
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

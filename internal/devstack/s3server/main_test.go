package main

import (
	"io"
	"strings"
	"testing"
)

func TestRunSaysWhatIsWrong(t *testing.T) {
	for order, want := range map[string]string{
		"":                                       "chartpost-dev s3",
		"{":                                      orderVariable,
		`{"options":{}}`:                         "no folder",
		`{"options":{"dir":"/dev/null/folder"}}`: "/dev/null",
		// /proc keeps no extended attributes, and no files either.
		`{"options":{"dir":"/proc"}}`: "/proc",
	} {
		if err := run(order, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("order %q: %v; want %q in it", order, err, want)
		}
	}
}

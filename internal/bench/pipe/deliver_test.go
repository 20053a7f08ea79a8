package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
)

// TestHashed: the pipe hashes what it says it does, or the worker would be held
// against another work.
func TestHashed(t *testing.T) {
	text := strings.Repeat("bench", 1000)
	strong, fhir := sha256.Sum256([]byte(text)), sha1.Sum([]byte(text))
	for name, want := range map[string][][]byte{"none": nil, "sha256": {strong[:]}, "both": {strong[:], fhir[:]}} {
		hashes, err := hashesOf(name)
		if err != nil {
			t.Fatal(err)
		}
		sums := hashes()
		if got, err := io.ReadAll(hashed(io.NopCloser(strings.NewReader(text)), sums)); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if len(sums) != len(want) {
			t.Fatalf("%s: %d hashes", name, len(sums))
		}
		for i := range want {
			if !bytes.Equal(sums[i].Sum(nil), want[i]) {
				t.Errorf("%s: hash %d is wrong", name, i)
			}
		}
	}
	if _, err := hashesOf("md5"); err == nil {
		t.Error("md5 is taken")
	}
}

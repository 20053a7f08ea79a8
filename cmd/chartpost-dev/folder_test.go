package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneWorldAFolder: a second one leaves the first alone, and takes over when
// that has ended, with the patient as it was left.
func TestOneWorldAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "world")
	out, _, stop := command(t, append([]string{"up", "--dir", dir}, freePorts...)...)
	out.await(t, "Ctrl-C ends it.")
	before, err := os.ReadFile(filepath.Join(dir, "chartpost.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var said, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"--once", "--dir", dir}, freePorts...), &said, &errs, nil); code != 1 || said.Len() > 0 ||
		!strings.HasPrefix(errs.String(), "chartpost-dev: another one runs over "+dir+": ") || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("exit code %d: %s%s", code, said.String(), errs.String())
	}
	if after, err := os.ReadFile(filepath.Join(dir, "chartpost.yaml")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the first one's settings were changed: %v", err)
	}
	if code := stop(); code != 0 {
		t.Errorf("the first one: exit code %d", code)
	}
	patient := filepath.Join(dir, "patient.json")
	if err := os.WriteFile(patient, []byte("edited"), 0o600); err != nil {
		t.Fatal(err)
	}
	once(t, dir, freePorts...)
	if text, err := os.ReadFile(patient); err != nil || string(text) != "edited" {
		t.Errorf("the patient, edited by a person, is now %s: %v", text, err)
	}
}

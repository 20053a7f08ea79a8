package cli

import (
	"strings"
	"testing"
)

func TestSystemUser(t *testing.T) {
	if name := systemUser(); !printable(name, mostName) || !strings.Contains(name, "@") {
		t.Errorf("%q", name)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{
		"their maintenance": true, "Wartung läuft": true, "": false, "a\nb": false, "a\x1b[31m": false, "a\tb": false, "\xff": false,
		strings.Repeat("é", 200): true, strings.Repeat("a", 201): false, "a\u202eb": false,
	} {
		if got := printable(text, mostReason); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

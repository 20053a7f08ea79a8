package guard

import (
	"strings"
	"testing"
)

func TestShown(t *testing.T) {
	for declared, want := range map[string]string{
		"":                "",
		"application/pdf": "application/pdf", "image/jpg": "image/jpg", "text/x-cda-r2+xml": "text/x-cda-r2+xml",
		"application/hl7-cda+xml": "application/hl7-cda+xml", "application/fhir+json": "application/fhir+json",
		"Application/PDF": "application/pdf", "text/plain; name=jane-doe": "text/plain",
		"text/jane-doe-1980-01-01":            "text/plain",
		"application/jane.doe.mrn.123456+xml": "text/xml",
		"text/jane+xml":                       "text/xml",
		"application/jane+json":               "application/json",
		"image/jane-doe":                      unknownType,
		"application/jane":                    unknownType,
		"multipart/jane":                      unknownType,
		unknownType:                           unknownType,
		"jane":                                unknownType,
	} {
		if got := Shown(declared); got != want {
			t.Errorf("%s is shown as %s, want %s", declared, got, want)
		}
	}
}

// TestWhatIsShownIsKnown: of all that can leave nothing else is told.
func TestWhatIsShownIsKnown(t *testing.T) {
	const canary = "kanarienvogel"
	for _, p := range []Policy{{}, {Allowed: append(DefaultAllowed(), unknownType)}} {
		left := 0
		for _, kind := range []string{"application/", "text/", "image/", "model/"} {
			for _, end := range []string{"", "+xml", "+json", "+zip"} {
				for _, bytes := range []string{"a text\n", "<?xml version=\"1.0\"?><a></a>", `{"a":1}`, "\x89PNG\r\n\x1a\n", "\x01\x02\x03\x04"} {
					leaves, err := judge(p, "a", kind+canary+end, []byte(bytes))
					if err != nil {
						continue
					}
					left++
					if shown := Shown(leaves); strings.Contains(shown, canary) || shown == "" {
						t.Errorf("%s is shown as %q", leaves, shown)
					}
				}
			}
		}
		if left < 5 {
			t.Errorf("%d files left: too few to prove anything", left)
		}
	}
}

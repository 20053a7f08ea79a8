package fhircheck_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBroken shows that the checker bites: one change at a time to a message
// that it accepts, each of which it has to refuse.
func TestBroken(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(goldenRoot, "documentreference-create", "minimal", "embed.json"))
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, raw)

	const (
		header     = "/entry/0/resource"
		patient    = "/entry/1/resource"
		document   = "/entry/2/resource"
		attachment = document + "/content/0/attachment"
	)
	absent := struct{}{}
	for name, change := range map[string]struct {
		at    string
		value any // JSON, or absent
	}{
		"bundle without type":             {"/type", absent},
		"header without source":           {header + "/source", absent},
		"source without endpoint":         {header + "/source/endpoint", absent},
		"header without event":            {header + "/eventUri", absent},
		"document without status":         {document + "/status", absent},
		"document without content":        {document + "/content", absent},
		"content without attachment":      {document + "/content/0/attachment", absent},
		"resource without type":           {document + "/resourceType", absent},
		"resource of no known type":       {document + "/resourceType", "Document"},
		"member that R4 does not know":    {document + "/fileName", "a.pdf"},
		"code outside a required binding": {document + "/status", "final"},
		"type of bundle outside its list": {"/type", "letter"},
		"gender outside its list":         {patient + "/gender", "f"},
		"date that is none":               {patient + "/birthDate", "02.01.1980"},
		"id with a blank":                 {patient + "/id", "a b"},
		"instant without a zone":          {"/timestamp", "2026-11-20T10:00:00"},
		"object in place of an array":     {document + "/content", map[string]any{"attachment": map[string]any{}}},
		"array in place of an object":     {document + "/masterIdentifier", []any{}},
		"size as a string":                {attachment + "/size", "10"},
		"size below zero":                 {attachment + "/size", -1},
		"size over 2^31-1":                {attachment + "/size", int64(1) << 31},
		"size with a fraction":            {attachment + "/size", 10.5},
		"data that is no base64":          {attachment + "/data", "%PDF-1.7"},
		"reference to a wrong type":       {document + "/subject/reference", "Encounter/1"},
		"reference as a bare string":      {document + "/subject", "Patient/1"},
		"two values of a choice": {document + "/extension", []any{map[string]any{
			"url": "https://lab.example/ext", "valueString": "a", "valueBoolean": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			doc := decode(t, raw)
			if change.value == absent {
				remove(t, doc, change.at)
			} else {
				set(t, doc, change.at, change.value)
			}
			refused(t, encode(t, doc))
		})
	}
}

package samples

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	list, shorts := Documents(), map[string]bool{}
	if len(list) == 0 {
		t.Fatal("no documents")
	}
	for _, d := range list {
		if len(d.Bytes) == 0 || shorts[d.Short] {
			t.Errorf("%s: %d bytes, short %s", d.Name, len(d.Bytes), d.Short)
		}
		shorts[d.Short] = true
		magic := map[string]string{"application/pdf": "%PDF-", "image/tiff": "II*\x00", "text/xml": "<?xml", "image/jpeg": "\xff\xd8\xff"}[d.ContentType]
		if magic == "" || !strings.HasPrefix(string(d.Bytes), magic) && !strings.HasPrefix(string(d.Bytes), "MM\x00*") {
			t.Errorf("%s is no %s: %s", d.Name, d.ContentType, http.DetectContentType(d.Bytes))
		}
		typed(t, d.Name, d.Reference, "DocumentReference")
	}
	typed(t, "the patient", Patient(), "Patient")
	typed(t, "the practitioner", Practitioner(), "Practitioner")
}

func typed(t *testing.T, what string, data []byte, want string) {
	t.Helper()
	var resource struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal(data, &resource); err != nil || resource.ResourceType != want {
		t.Errorf("%s: %v, %q is no %s", what, err, resource.ResourceType, want)
	}
}

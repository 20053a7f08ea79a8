package filetype

import "testing"

// TestTable: every name stands once, and a type that may leave has a name in the
// Data Model.
func TestTable(t *testing.T) {
	seen := map[string]string{}
	for _, row := range Table() {
		for _, list := range [][]string{{row.Name}, row.Also, row.Aliases} {
			for _, name := range list {
				if seen[name] != "" {
					t.Errorf("%s stands in %s and %s", name, seen[name], row.Name)
				}
				if name != Bare(name) {
					t.Errorf("%s is not bare", name)
				}
				if got := Canonical(name); got != row.Name {
					t.Errorf("%s is %s, want %s", name, got, row.Name)
				}
				seen[name] = row.Name
				if kind, ok := DataModel(name + "; charset=utf-8"); row.Rule != Never && (!ok || kind != row.FileType || kind == "") {
					t.Errorf("%s has the FileType %q, want %q", name, kind, row.FileType)
				}
			}
		}
		for _, name := range row.Aliases {
			if got := Registered(name); got != row.Name {
				t.Errorf("%s leaves as %s", name, got)
			}
		}
		for _, name := range row.Also {
			if got := Registered(name); got != name {
				t.Errorf("%s leaves as %s", name, got)
			}
		}
		if (row.Rule == Never) != (row.Code != "") || (row.Rule == Optional) != (row.Why != "") {
			t.Errorf("%s has the rule %d, the code %q and the reason %q", row.Name, row.Rule, row.Code, row.Why)
		}
		for _, s := range row.Signatures {
			b := make([]byte, 64)
			copy(b[s.At:], s.Is)
			copy(b[s.AndAt:], s.And)
			if got, ok := BySignature(b); !ok || got.Name != row.Name {
				t.Errorf("the signature %q of %s is that of %q", s.Is, row.Name, got.Name)
			}
		}
	}
	if len(seen) < 200 {
		t.Errorf("only %d names", len(seen))
	}
}

func TestDataModel(t *testing.T) {
	for name, want := range map[string]string{
		"application/pdf": "PDF", "application/x-pdf": "PDF", "image/jpg": "JPG", "Image/JPEG": "JPG", "text/plain; charset=windows-1252": "TXT", "text/kanarienvogel": "TXT",
		"application/vnd.example+xml": "XML", "application/vnd.example+json": "JSON", "text/hl7v2": "HL7", "audio/x-m4a": "M4A", "image/vnd.djvu": "DJVU", "image/avif": "AVIF",
		"application/x-ecg": "", Unknown: "", "": "", "nonsense": "",
	} {
		if got, ok := DataModel(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestFamily(t *testing.T) {
	for name, want := range map[string]string{
		"image/jpg": JPEG, "text/x-made-up": Text, "application/x-made-up+xml": XML, "text/x-made-up+json": JSON, "application/x-made-up": "application/x-made-up", "text/x-python": "text/x-python",
	} {
		if got := Family(name); got != want {
			t.Errorf("%s falls under %s, want %s", name, got, want)
		}
	}
}

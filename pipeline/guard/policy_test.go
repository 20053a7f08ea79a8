package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
)

func TestPolicyCheck(t *testing.T) {
	for _, p := range []Policy{{}, {Allowed: DefaultAllowed()}, {Allowed: []string{"text/html", "image/svg+xml", unknownType, "image/jpg", "application/hl7-v2", "message/rfc822"}, Waived: waivable}} {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, allowed := range []string{"image/jpge", "", "pdf", "application/zip", "application/x-zip-compressed", "application/x-msdownload", "text/javascript", "application/gzip", "application/x-msi", "polyglot"} {
		if err := (Policy{Allowed: []string{pdfType, allowed}}).Check(); err == nil {
			t.Errorf("allowing %q is no fault", allowed)
		}
	}
	for _, code := range []string{CodeMacros, CodeExecutable, CodeHiddenArchive, "file_strange", ""} {
		if err := (Policy{Waived: []string{code}}).Check(); err == nil {
			t.Errorf("waiving %q is no fault", code)
		}
	}
	err := Policy{Allowed: []string{"a/b", "application/zip"}, Waived: []string{"c"}}.Check()
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("not all faults at once: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	page := []byte("<!DOCTYPE html><html><body><p>Findings: on = yes, once=\"x\"</p></body></html>")
	drawing := []byte(`<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`)
	web := Policy{Allowed: []string{"text/html", "image/svg+xml"}}
	raw := Policy{Allowed: []string{unknownType, pdfType}}
	lax := Policy{Waived: waivable}
	for i, c := range []struct {
		policy         Policy
		name, declared string
		data           []byte
		want, code     string
	}{
		{web, "a.html", "text/html", page, "text/html", ""},
		{web, "a.html", "", utf16(string(page)), "text/html", ""},
		{web, "a.xhtml", "application/xhtml+xml", join(`<?xml version="1.0"?>`, page), "application/xhtml+xml", ""},
		{web, "a.svg", "image/svg+xml", drawing, "image/svg+xml", ""},
		{web, "a.html", "text/html", join(page, "<script>1</script>"), "", CodeActive},
		{web, "a.html", "text/html", join(page, "<p onclick='x()'>"), "", CodeActive},
		{web, "a.html", "text/html", join(page, strings.Repeat("x", 9000), "<a\thref=JavaScript:x>"), "", CodeActive},
		{web, "a.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>`), "", CodeActive},
		{web, "a.pdf", pdfType, makePDF(9, ""), "", CodeNotAllowed},
		{raw, "a.bin", "", noise(9000), unknownType, ""},
		{raw, "a.bin", "application/x-ecg", noise(9000), "application/x-ecg", ""},
		{raw, "a.bin", pdfType, noise(9000), "", CodeContradicted},
		{raw, "a.iso", "", noise(9000), "", CodeArchive},
		{raw, "a.bin", "", join(noise(9000), makeZip("a")), "", CodeHiddenArchive},
		{lax, "a.pdf", pdfType, makePDF(9, "/Encrypt 5 0 R"), pdfType, ""},
		{lax, "a.pdf", pdfType, makePDF(9000, "")[:5000], pdfType, ""},
		{lax, "a.jpg", pdfType, makeJPEG(), "image/jpeg", ""},
		{lax, "a.docx", docxType, makeOffice("word/document.xml")[:1500], "", CodeTruncated},
		{lax, "a.doc", docType, makeOLE(90, nil, "WordDocument")[:9000], "", CodeTruncated},
		{lax, "a.exe", pdfType, makePDF(9, ""), "", CodeExecutable},
		{Policy{Allowed: []string{textType}}, "a", "", []byte("a,b\n1,2\n3,4\n"), textType, ""},
		{Policy{Allowed: []string{textType}}, "a", "text/csv", []byte("a,b\n1,2\n3,4\n"), "", CodeNotAllowed},
		{Policy{Allowed: []string{"image/jpg"}}, "a", "image/pjpeg", makeJPEG(), "image/jpeg", ""},
		{Policy{Allowed: []string{"image/jpg"}}, "a", "", makePNG(), "", CodeNotAllowed},
	} {
		got, err := judge(c.policy, c.name, c.declared, c.data)
		if got != c.want || codeOf(err) != c.code {
			t.Errorf("%d: %q, %v; want %q %s", i, got, err, c.want, c.code)
		}
	}
}

// TestReadsAreBounded: whatever a file says of itself, no more is read of it than
// the bounds allow, and nothing outside of it.
func TestReadsAreBounded(t *testing.T) {
	const size = 30_000_000
	long := func(b []byte) []byte { return append(b, make([]byte, size-len(b))...) }
	for name, data := range map[string][]byte{
		"text":           bytes.Repeat([]byte("all is well. "), size/13),
		"xml":            append(append([]byte("<!--"), bytes.Repeat([]byte("license "), size/8)...), "--><a></a>"...),
		"pdf":            makePDF(size, ""),
		"padded pdf":     long(makePDF(9000, "")),
		"docx":           makeZipWith(size/2, "[Content_Types].xml", "word/document.xml"),
		"doc":            join(makeOLE(50, nil, "WordDocument"), noise(size)),
		"scattered doc":  makeOLEIn(0, 12, nil, append([]string{"WordDocument"}, numbered("a", 4000)...)...),
		"jpeg":           long(makeJPEG()),
		"dicom":          long(makeDICOM(true)),
		"of no type":     noise(size),
		"large xls, VBA": makeOLEIn(9000, 40, nil, append([]string{"Workbook"}, numbered("b", 300)...)...),
	} {
		var reads, total int64
		f := fileOf("a", "", "", data)
		read := f.Read
		f.Read = func(offset, length int64) ([]byte, error) {
			if offset < 0 || length <= 0 || offset+length > f.Size {
				t.Errorf("%s: %d bytes at %d of %d", name, length, offset, f.Size)
			}
			reads, total = reads+1, total+length
			return read(offset, length)
		}
		_, err := Policy{}.Judge(f)
		if err != nil {
			safe(t, err)
		}
		if total > ReadLimit || reads > ReadsLimit || total == 0 {
			t.Errorf("%s: %d reads of %d bytes", name, reads, total)
		}
	}
}

// TestTooLittleRead: what was not read is not judged, and an error of the reading
// is the caller's own.
func TestTooLittleRead(t *testing.T) {
	data := makePDF(200_000, "")
	for at := range 3 {
		for name, spoil := range map[string]func([]byte) ([]byte, error){
			"short": func(b []byte) ([]byte, error) { return b[1:], nil },
			"none":  func([]byte) ([]byte, error) { return nil, nil },
			"fails": func([]byte) ([]byte, error) { return nil, errSpoiled },
		} {
			f, n := fileOf("a", "", "", data), 0
			read := f.Read
			f.Read = func(offset, length int64) ([]byte, error) {
				if n++; n == at+1 {
					return spoil(data[offset : offset+length])
				}
				return read(offset, length)
			}
			got, err := Policy{}.Judge(f)
			switch ff := fault.Of(err); {
			case n <= at && err == nil: // no such read was needed
			case name == "fails" && errors.Is(err, errSpoiled):
			case name != "fails" && ff != nil && ff.Code == CodeNotRead && ff.Kind == fault.Retryable && got == Verdict{}:
			default:
				t.Errorf("read %d %s: %v, %v", at, name, got, err)
			}
		}
	}
}

var errSpoiled = errors.New("spoiled")

// TestTheKeyHasAnEnding, and titles have none, except a second one.
func TestTheKeyHasAnEnding(t *testing.T) {
	f := fileOf("2026/run.ps1", "", "", []byte("abc"))
	if _, err := (Policy{}).Judge(f); codeOf(err) != CodeScript {
		t.Error(err)
	}
	for key, code := range map[string]string{"2026/Notiz Dr.So": "", "2026/Ergometry 60.rpm": "", "2026/set up.exe": CodeExecutable, "2026/run me.ps1": CodeScript, "2026/lib.so": CodeExecutable} {
		f.Key = key
		if _, err := (Policy{}).Judge(f); codeOf(err) != code {
			t.Errorf("a text %q: %v, want %q", key, err, code)
		}
	}
	pdf := fileOf("2026/in voice.exe", "", "", makePDF(9, ""))
	if _, err := (Policy{}).Judge(pdf); err != nil {
		t.Error(err)
	}
	f.Key = "2026/4711"
	for title, code := range map[string]string{
		"run.ps1": "", "Arztbrief Dr.So": "", "K-RAS.MSI": "", "J.Doe.MSc": "", "Lap.App.": "", "60.rpm": "", "Befund.pdf Dr.So": "", "Bericht vom 3.4.com": "",
		"invoice.pdf.exe": CodeExecutable, "invoice.PDF.Exe . .": CodeExecutable, `a.pdf"; filename="run.exe`: CodeExecutable, "list.xls.docm": CodeMacros, "a.jpg   .scr": CodeExecutable,
		"cod\u202efdp.exe": CodeNameDeceptive, "a\x00.pdf": CodeNameDeceptive,
	} {
		f.Titles = []string{"Report", title}
		if _, err := (Policy{}).Judge(f); codeOf(err) != code {
			t.Errorf("%q: %v, want %q", title, err, code)
		}
	}
}

// TestTexts: one sentence a code, with what to do behind a semicolon.
func TestTexts(t *testing.T) {
	for code, text := range texts {
		if !strings.Contains(text, "; ") || strings.Contains(text, ". ") || strings.HasSuffix(text, ".") || len(text) > 160 {
			t.Errorf("%s: %q", code, text)
		}
	}
}

const canary = "Zebedee471100815"

// allText is every text an error of this package may have.
func allText() map[string]bool {
	all := map[string]bool{}
	for _, text := range texts {
		all[text] = true
	}
	return all
}

// safe checks that an error says nothing but codes, texts and known types.
func safe(t *testing.T, err error) {
	t.Helper()
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Scope != fault.Job || f.Path != "" || f.Cause != nil || texts[f.Code] == "" {
		t.Fatalf("not a fault of this package: %#v", err)
	}
	if want := fault.Permanent; f.Code != CodeNotRead && f.Kind != want {
		t.Fatalf("%s is %s", f.Code, f.Kind)
	}
	text, note, noted := strings.Cut(f.Text, " (it is ")
	if !allText()[text] || noted && !known(strings.TrimSuffix(note, ")")) {
		t.Fatalf("an error says %q", f.Text)
	}
}

// TestErrorsHoldNoPatientData puts the canary into every name, type and file.
func TestErrorsHoldNoPatientData(t *testing.T) {
	tried := 0
	for _, h := range hostiles(t) {
		for _, declared := range []string{h.declared, "text/" + canary, "application/" + canary + "+xml", canary} {
			for _, name := range []string{canary + h.name, h.name + "." + canary, canary} {
				_, err := judge(Policy{}, name, declared, join(h.data, canary))
				if err == nil {
					continue
				}
				tried++
				safe(t, err)
				if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(canary)) {
					t.Fatalf("%s: %v", h.name, err)
				}
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d errors were looked at", tried)
	}
}

// TestCutAnywhere: no file panics or leaves as another type than its own,
// wherever it is cut.
func TestCutAnywhere(t *testing.T) {
	for _, g := range goods(t) {
		for n := 1; n < len(g.data); n += max(1, len(g.data)/13) {
			if _, err := judge(Policy{}, g.name, g.declared, g.data[:n]); err != nil {
				safe(t, err)
			}
		}
	}
}

func FuzzJudge(f *testing.F) {
	add := func(name, declared string, data []byte) {
		if len(data) < 12_000 {
			f.Add(name, declared, data, int64(0))
			f.Add(name, declared, data[:len(data)/2], int64(len(data)))
		}
	}
	for _, g := range goods(f) {
		add("a"+g.name[strings.LastIndexByte(g.name, '.')+1:], g.declared, g.data)
	}
	for _, h := range hostiles(f) {
		add(h.name, h.declared, h.data)
	}
	policies := []Policy{{}, {Waived: waivable}, {Allowed: []string{unknownType, "text/html", "image/svg+xml", mailType}, Waived: waivable}}
	f.Fuzz(func(t *testing.T, name, declared string, data []byte, more int64) {
		size := int64(len(data)) + max(0, more%(1<<40))
		for _, p := range policies {
			reads, total := 0, int64(0)
			file := File{Key: name, Titles: []string{name}, Job: declared, Size: size, Read: func(offset, length int64) ([]byte, error) {
				if offset < 0 || length <= 0 || offset+length > size {
					t.Fatalf("asks for %d bytes at %d of %d", length, offset, size)
				}
				reads, total = reads+1, total+length
				part := make([]byte, length)
				if offset < int64(len(data)) {
					copy(part, data[offset:])
				}
				return part, nil
			}}
			for _, file.Store = range []string{"", declared} {
				reads, total = 0, 0
				got, err := p.Judge(file)
				if reads > ReadsLimit || total > ReadLimit {
					t.Fatalf("%d reads of %d bytes", reads, total)
				}
				if err != nil {
					safe(t, err)
					continue
				}
				if got.ContentType == "" || !p.allows(got.ContentType) && !p.allows(unknownType) {
					t.Fatalf("leaves as %q", got)
				}
				file.Job = ""
			}
		}
	})
}

// TestMemoryDoesNotGrow: what is allocated for a file of 30 MB is within the
// bounds, and no more than for one of 3 MB.
func TestMemoryDoesNotGrow(t *testing.T) {
	of := func(make func(size int) []byte, size int) float64 {
		f := fileOf("a", "", "", make(size))
		read := f.Read
		f.Read = func(offset, length int64) ([]byte, error) {
			b, err := read(offset, length)
			return bytes.Clone(b), err
		}
		r := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (Policy{}).Judge(f); err != nil {
					b.Fatal(err)
				}
			}
		})
		return float64(r.AllocedBytesPerOp())
	}
	for name, make := range map[string]func(int) []byte{
		"text": func(n int) []byte { return bytes.Repeat([]byte("all is well. "), n/13) },
		"pdf":  func(n int) []byte { return makePDF(n, "") },
		"doc":  func(n int) []byte { return join(makeOLE(50, nil, "WordDocument"), noise(n)) },
		"docx": func(n int) []byte { return makeZipWith(n/2, "[Content_Types].xml", "word/document.xml") },
	} {
		small, large := of(make, 3_000_000), of(make, 30_000_000)
		if large > small*1.1+10_000 || large > ReadLimit {
			t.Errorf("%s: %.0f bytes for 3 MB, %.0f for 30 MB", name, small, large)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	big := makeOffice("ppt/presentation.xml", numbered("ppt/slides/", 1200)...)
	worst := make([]byte, 200_000)
	copy(worst, makePDF(4096, "")[:4096])
	for i := 4096; i+4 < len(worst); i += 22 {
		copy(worst[i:], "PK\x05\x06")
		worst[i+8], worst[i+10] = 1, 1
		binary.LittleEndian.PutUint32(worst[i+12:], 1<<16)
	}
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"pdf of 50 KB", makePDF(50_000, "")}, {"text of 50 KB", []byte(strings.Repeat("all is well. ", 4000))}, {"CDA of 50 KB", []byte(cda[:len(cda)-20] + strings.Repeat("<text>all is well</text>\n", 2000) + "</ClinicalDocument>")},
		{"jpeg", makeJPEG()}, {"doc of 50 KB", makeOLEIn(2, 9, nil, append([]string{"WordDocument"}, numbered("a", 20)...)...)}, {"docx", makeOffice("word/document.xml", numbered("word/", 20)...)},
		{"pdf of 30 MB", makePDF(30_000_000, "")}, {"text of 30 MB", []byte(strings.Repeat("all is well. ", 2_300_000))}, {"doc of 30 MB", join(makeOLEIn(2, 9, nil, append([]string{"WordDocument"}, numbered("a", 20)...)...), make([]byte, 30_000_000))},
		{"pptx of 1,200 parts", big}, {"many end records", worst},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := judge(Policy{}, "a", "", c.data); err != nil && c.name != "many end records" {
					b.Fatal(err)
				}
			}
		})
	}
}

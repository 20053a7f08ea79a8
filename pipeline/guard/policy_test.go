package guard

import (
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
		{Policy{Allowed: []string{"image/jpg"}}, "a", "image/pjpeg", makeJPEG(), "image/pjpeg", ""},
		{Policy{Allowed: []string{"image/jpg"}}, "a", "", makePNG(), "", CodeNotAllowed},
	} {
		got, err := judge(c.policy, c.name, c.declared, c.data)
		if got != c.want || codeOf(err) != c.code {
			t.Errorf("%d: %q, %v; want %q %s", i, got, err, c.want, c.code)
		}
	}
}

// TestNeeds: one range at most, inside the file, and none for what the head
// condemns.
func TestNeeds(t *testing.T) {
	far := makeOLE(50, nil, "WordDocument")
	far = join(far, noise(300_000))
	for _, c := range []struct {
		name string
		data []byte
		want Range
	}{
		{"a.pdf", makePDF(10, ""), Range{}},
		{"a.pdf", makePDF(4096, ""), Range{0, int64(len(makePDF(4096, "")))}},
		{"a.pdf", makePDF(200_000, ""), Range{int64(len(makePDF(200_000, ""))) - TailSize, TailSize}},
		{"a.exe", makePDF(200_000, ""), Range{}},
		{"a.bin", noise(9000), Range{}},
		{"a.pdf", append(makePE(), noise(90_000)...), Range{}},
		{"a.doc", far, Range{51 * 512, TailSize}},
		{"a.docx", makeZipWith(80_000, "[Content_Types].xml", "word/document.xml"), Range{int64(len(makeZipWith(80_000, "[Content_Types].xml", "word/document.xml"))) - TailSize, TailSize}},
	} {
		f := File{Names: []string{c.name}, Size: int64(len(c.data)), Head: c.data[:min(len(c.data), HeadSize)]}
		if got := (Policy{}).Needs(f); got != c.want {
			t.Errorf("%s of %d bytes: %v, want %v", c.name, len(c.data), got, c.want)
		}
	}
}

// TestTooLittleRead: what was not read is not judged.
func TestTooLittleRead(t *testing.T) {
	data := makePDF(200_000, "")
	whole := File{Size: int64(len(data)), Head: data[:HeadSize], Part: data[len(data)-TailSize:]}
	if _, err := (Policy{}).Judge(whole); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*File){
		"no part": func(f *File) { f.Part = nil }, "short part": func(f *File) { f.Part = f.Part[1:] },
		"long part": func(f *File) { f.Part = data }, "short head": func(f *File) { f.Head = f.Head[1:] }, "no head": func(f *File) { f.Head = nil },
	} {
		f := whole
		spoil(&f)
		got, err := Policy{}.Judge(f)
		if ff := fault.Of(err); ff == nil || ff.Code != CodeNotRead || ff.Kind != fault.Retryable || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestEveryNameIsJudged: title and key both speak.
func TestEveryNameIsJudged(t *testing.T) {
	f := File{Names: []string{"Report", "2026/run.ps1"}, Size: 3, Head: []byte("abc")}
	if _, err := (Policy{}).Judge(f); codeOf(err) != CodeScript {
		t.Error(err)
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

// safe tells whether an error says nothing but codes, texts and known types.
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
			file := File{Names: []string{name}, Declared: declared, Size: size, Head: data}
			if r := p.Needs(file); r.Length > 0 {
				if r.Offset < 0 || r.Length > TailSize || r.Offset+r.Length > size {
					t.Fatalf("asks for %v of %d bytes", r, size)
				}
				part := make([]byte, r.Length)
				copy(part[int(r.Length)-min(int(r.Length), len(data)):], data)
				file.Part = part
			}
			got, err := p.Judge(file)
			if err != nil {
				safe(t, err)
				continue
			}
			if got == "" || !p.allows(got) && !p.allows(unknownType) {
				t.Fatalf("leaves as %q", got)
			}
		}
	})
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
	}{{"pdf", makePDF(1<<20, "")}, {"text", []byte(strings.Repeat("all is well. ", 20_000))}, {"pptx", big}, {"jpeg", makeJPEG()}, {"many end records", worst}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judge(Policy{}, "a", "", c.data)
			}
		})
	}
}

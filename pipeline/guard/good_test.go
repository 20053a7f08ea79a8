package guard

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

type good struct {
	name, declared string
	data           []byte
	want           string
}

const (
	cda     = "<ClinicalDocument xmlns=\"urn:hl7-org:v3\">\n<title>Visit</title>\n</ClinicalDocument>\n"
	hl7     = "MSH|^~\\&|LAB|A|EHR|B|20261120||ORU^R01|1|P|2.5.1\rPID|1||1\rOBX|1|NM|2345-7||90|mg/dL\r"
	rtf     = "{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}\\f0 Findings.\\par}"
	fhirDoc = `{"resourceType":"Patient","id":"a"}`
)

// goods are files that must leave.
func goods(t testing.TB) []good {
	jpg, pdf := makeJPEG(), makePDF(200_000, "")
	bodyText := strings.Repeat("The patient was seen, and is well. ", 4000)
	note := bodyText + "\n"
	list := []good{
		{"a.pdf", "application/pdf", pdf, pdfType},
		{"a.pdf", "", makePDF(100, ""), pdfType},
		{"a.pdf", "application/x-pdf", pdf, pdfType},
		{"a.pdf", "Application/PDF; name=\"a.pdf\"", pdf, pdfType},
		{"xref.pdf", pdfType, makeXrefPDF(""), pdfType},
		{"junk-before.pdf", pdfType, join("\xef\xbb\xbf\r\n", pdf), pdfType},
		{"mail-before.pdf", pdfType, join("Content-Type: application/pdf\r\nContent-Length: 5\r\n\r\n", pdf), pdfType},
		{"junk-behind.pdf", pdfType, join(pdf, make([]byte, 5000)), pdfType},
		{"incremental.pdf", pdfType, join(pdf, "4 0 obj\n<<>>\nendobj\nxref\n0 0\ntrailer\n<</Prev 5>>\nstartxref\n9\n%%EOF"), pdfType},
		{"signature-by-chance.pdf", pdfType, makePDF(3000, " /Note (PK\x05\x06 and PK\x03\x04 are four letters each)"), pdfType},
		{"about-encryption.pdf", pdfType, makePDF(3000, "/EncryptMetadata false/Title(/Encrypt is a key)"), pdfType},
		{"of-encryption.pdf", pdfType, makePDF(3000, "/Title(/Encrypt or not? Rather not)"), pdfType},
		{"of-trailers.pdf", pdfType, join(makePDF(9000, "")[:300], "(/Encrypt 5 0 R)", makePDF(9000, "")[300:]), pdfType},
		{"linearized.pdf", pdfType, join("%PDF-1.4\n1 0 obj\n<</Linearized 1/L 5000/O 3>>\nendobj\n", pdf), pdfType},
		{"no-eof-mark.pdf", pdfType, bytes.TrimSuffix(pdf, []byte("%%EOF\n")), pdfType},
		{"a.jpg", "image/jpg", jpg, "image/jpeg"},
		{"a.jpg", "image/jpeg", join(jpg, "\x00\x00\x00\x18ftypmp42", make([]byte, 200_000), "moov", make([]byte, 300)), "image/jpeg"},
		{"a.png", "image/png", makePNG(), "image/png"},
		{"a.gif", "image/gif", makeGIF(), "image/gif"},
		{"a.heic", "image/heic", makeFtyp("heic"), "image/heic"},
		{"a.heic", "image/heif", makeFtyp("heic"), "image/heif"},
		{"a.heif", "", makeFtyp("mif1"), "image/heic"},
		{"a.jp2", "image/jp2", join("\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 ", noise(9000)), "image/jp2"},
		{"big.tif", "image/tiff", join("II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00", noise(9000)), "image/tiff"},
		{"big.tif", "image/tiff", join("MM\x00+\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10", noise(9000)), "image/tiff"},
		{"a.dcm", "application/dicom", makeDICOM(true), dicomType},
		{"a.dcm", "", makeDICOM(false), dicomType},
		{"a.dcm", "application/octet-stream", makeDICOM(false), dicomType},
		{"slide.dcm", "image/tiff", join("II*\x00\x10\x00\x00\x00", make([]byte, 120), makeDICOM(true)[128:]), "image/tiff"},
		{"slide.dcm", "application/dicom", join("II*\x00\x10\x00\x00\x00", make([]byte, 120), makeDICOM(true)[128:]), dicomType},
		{"a.docx", docxType, makeOffice("word/document.xml"), docxType},
		{"a.docx", "application/zip", makeOffice("word/document.xml", "word/media/image1.png", "word/embeddings/oleObject1.bin"), docxType},
		{"late.docx", docxType, makeZipWith(8000, "[Content_Types].xml", "docProps/thumbnail.jpeg", "word/document.xml"), docxType},
		{"huge.pptx", pptxType, makeOffice("ppt/presentation.xml", numbered("ppt/slides/", 1200)...), pptxType},
		{"huge.xlsx", "", makeOffice("xl/workbook.xml", append(numbered("xl/worksheets/", 1200), "xl/styles.xml")...), xlsxType},
		{"a.xlsx", "binary/octet-stream", makeOffice("xl/workbook.xml", "xl/worksheets/sheet1.xml"), xlsxType},
		{"a.odt", "application/vnd.oasis.opendocument.text", makeODF("text"), "application/vnd.oasis.opendocument.text"},
		{"a.ods", "", makeODF("spreadsheet"), "application/vnd.oasis.opendocument.spreadsheet"},
		{"a.odp", "", makeODF("presentation"), "application/vnd.oasis.opendocument.presentation"},
		{"a.doc", "application/msword", makeOLE(2, nil, "WordDocument", "1Table"), docType},
		{"far.doc", "application/msword", makeOLE(500, nil, "WordDocument", "1Table"), docType},
		{"middle.doc", "", join(makeOLE(50, nil, "WordDocument", "1Table"), noise(300_000)), docType},
		{"a.xls", "application/msexcel", makeOLE(2, nil, "Workbook"), xlsType},
		{"with-a-letter-in-it.xls", "", makeOLE(2, nil, "Workbook", "", "WordDocument"), xlsType},
		{"a.ppt", "application/x-ole-storage", makeOLE(2, nil, "PowerPoint Document"), pptType},
		{"a.rtf", "application/rtf", []byte(rtf), "application/rtf"},
		{"a.rtf", "", []byte(rtf), rtfType},
		{"note.txt", "text/plain; charset=utf-8", []byte(note), "text/plain; charset=utf-8"},
		{"note", "", []byte("Blutdruck 120/80, Gr\xfc\xdfe"), textType}, // Latin-1
		{"note.txt", "", utf16("Findings: normal.\r\n"), textType},
		{"note.txt", textType, []byte("MZ 4711 is the number of the sample\n"), textType},
		{"note.txt", "", []byte("MZ " + note), textType},
		{"note.txt", "", []byte("BZh is where the patient lives\n"), textType},
		{"note.txt", "", []byte("FWS clinic, visit of today\n"), textType},
		{"note.txt", "", []byte("PK\tvalue\n"), textType},
		{"note.txt", textType, []byte("From: ward 3\nTo: archive\nSubject: transfer\n\nText.\n"), textType},
		{"note.txt", "", []byte("From: ward 3\nTo: archive\nSubject: transfer\n\nText.\n"), textType},
		{"note.txt", textType, []byte("<b>bold</b> words in a plain note\n"), textType},
		{"dos.txt", textType, []byte("old report\r\n\x1a"), textType},
		{"printer.txt", textType, []byte("old report with \x0ewide\x0f words\r\n" + note), textType},
		{"about.txt", textType, []byte("a file that starts with %PDF-1.4 is a PDF\n"), textType},
		{"Visit of Dr. App", textType, []byte(note), textType},
		{"note.txt", textType, []byte("[1, 2"), textType},
		{"note.md", "text/markdown", []byte("# Findings\n\nnone\n"), "text/markdown"},
		{"a.csv", "text/csv", []byte("code,value\n2345-7,90\n718-7,14\n"), "text/csv"},
		{"a.csv", textType, []byte("code,value\n2345-7,90\n718-7,14\n"), textType},
		{"a.tsv", "text/tab-separated-values", []byte("code\tvalue\n2345-7\t90\n"), "text/tab-separated-values"},
		{"a.xml", "application/xml", join(`<?xml version="1.0"?>`, cda), "application/xml"},
		{"a.xml", "text/xml", []byte(cda), xmlType},
		{"a.xml", "", []byte(cda), xmlType},
		{"a.xml", "", join("<!-- made by a machine -->\n", cda), xmlType},
		{"a.xml", "application/hl7-cda+xml", join(`<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="cda.xsl"?>`, cda), "application/hl7-cda+xml"},
		{"a.xml", "text/x-cda-r2+xml", []byte(cda), "text/x-cda-r2+xml"},
		{"a.xml", textType, []byte(cda), textType},
		{"a.xml", "application/xml", utf16(`<?xml version="1.0" encoding="utf-16"?>` + cda), "application/xml"},
		{"long.xml", "text/xml", join(`<?xml version="1.0"?><a>`, note, "</a>\x00\r\n"), xmlType},
		{"a.json", jsonType, []byte(fhirDoc), jsonType},
		{"a.json", "application/fhir+json", []byte(fhirDoc), "application/fhir+json"},
		{"long.json", "", []byte(`{"a":"` + bodyText + "\"}\n"), jsonType},
		{"a.ndjson", "application/x-ndjson", []byte(fhirDoc + "\n" + fhirDoc + "\n"), ndjsonType},
		{"a.hl7", "application/hl7-v2", []byte(hl7), "application/hl7-v2"},
		{"a.hl7", "x-application/hl7-v2+er7", join("\x0b", hl7, "\x1c\r"), "x-application/hl7-v2+er7"},
		{"a.hl7", "", []byte(hl7), textType},
		{"a.hl7", textType, []byte(hl7), textType},
		{"a.vcf", "text/vcard", []byte("BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n"), "text/vcard"},
		{"a.ics", "text/calendar", []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"), "text/calendar"},
		{"dictation.mp3", "audio/mpeg", makeMP3(), "audio/mpeg"},
		{"dictation.mp3", "audio/mp3", join("ID3\x04\x00\x00\x00\x00\x00\x0a", make([]byte, 10), makeMP3()), "audio/mpeg"},
		{"dictation.wav", "audio/x-wav", join("RIFF\x00\x00\x01\x00WAVEfmt ", noise(9000)), "audio/wav"},
		{"dictation.m4a", "audio/mp4", makeFtyp("M4A "), "audio/mp4"},
		{"dictation.m4a", "audio/mp4", makeFtyp("isom"), "audio/mp4"},
		{"dictation.m4a", "audio/x-m4a", makeFtyp("M4A "), "audio/mp4"},
		{"echo.mp4", "video/mp4", makeFtyp("mp42"), "video/mp4"},
		{"echo.mov", "video/quicktime", makeFtyp("qt  "), "video/quicktime"},
		{"echo.mpg", "video/mpeg", join("\x00\x00\x01\xba", noise(9000)), "video/mpeg"},
	}
	image := filepath.Join(moduleDir(t, "golang.org/x/image"), "testdata")
	for _, f := range glob(t, image, "*.webp") {
		list = append(list, good{f, "image/webp", read(t, f), "image/webp"})
	}
	for ext, want := range map[string]string{"tiff": "image/tiff", "bmp": "image/bmp", "png": "image/png", "jpeg": "image/jpeg"} {
		for _, f := range glob(t, image, "*."+ext) {
			list = append(list, good{f, "", read(t, f), want})
		}
	}
	for _, f := range glob(t, goroot(t), "src/image/testdata/*") {
		want := "image/" + strings.TrimPrefix(filepath.Ext(f), ".")
		list = append(list, good{f, want, read(t, f), want})
	}
	library := filepath.Join(moduleDir(t, "github.com/gabriel-vasile/mimetype"), "testdata")
	for name, want := range map[string]string{"docx.docx": docxType, "xlsx.xlsx": xlsxType, "gif.gif": "image/gif", "utf8.txt": textType} {
		list = append(list, good{name, "", read(t, library, name), want})
	}
	samples := filepath.Join(sourceDir(t), "../../internal/samples/files")
	for name, want := range map[string]string{"lab-report.pdf": pdfType, "referral-scan.tiff": tiffType, "wound-photo.jpg": "image/jpeg", "visit-summary.xml": xmlType, "patient.json": jsonType} {
		list = append(list, good{name, want, read(t, samples, name), want})
	}
	return list
}

func numbered(dir string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%sa-part-of-the-document-with-a-long-name-%d.xml", dir, i)
	}
	return list
}

func TestGoodFilesLeave(t *testing.T) {
	left := map[string]bool{}
	for _, g := range goods(t) {
		got, err := judge(Policy{}, g.name, g.declared, g.data)
		if err != nil || got != g.want {
			t.Errorf("%s declared %q: %q, %v; want %q", g.name, g.declared, got, err, g.want)
		}
		left[filetype.Family(filetype.Bare(got))] = true
	}
	for _, a := range DefaultAllowed() {
		if !left[canonical(a)] {
			t.Errorf("no good file of the allowed type %s was tried", a)
		}
	}
}

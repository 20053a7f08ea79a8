package guard

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// field is a file as it is met in the field, and what must become of it.
type field struct {
	name, key  string
	job, store string
	data       []byte
	// want is the type it leaves as, or the code of its refusal.
	want   string
	source Source
}

// checkFields judges each file, whole at once and in parts.
func checkFields(t *testing.T, list []field) {
	t.Helper()
	for _, c := range list {
		if c.key == "" {
			c.key = "2026/4711"
		}
		for _, data := range [][]byte{c.data} {
			got, err := Policy{}.Judge(fileOf(c.key, c.job, c.store, data))
			switch {
			case strings.HasPrefix(c.want, "file_"):
				if codeOf(err) != c.want {
					t.Errorf("%s: %q, %v; want %s", c.name, got, err, c.want)
				}
			case err != nil || got.String() != c.want || c.source != "" && got.Source != c.source:
				t.Errorf("%s: %q by %s, %v; want %q by %s", c.name, got, got.Source, err, c.want, c.source)
			}
		}
	}
}

// TestWhatLiesElsewhere: containers are judged by what they hold, wherever it
// lies within the bounds.
func TestWhatLiesElsewhere(t *testing.T) {
	many := append([]string{"WordDocument", "1Table", "Data"}, numbered("embedded", 20)...)
	vba := append(many, "Macros", "VBA", "_VBA_PROJECT")
	swap := func(b []byte) []byte { return bytes.Replace(b, wide("WordDocument"), wide("WORDDOCUMENT"), 1) }
	excel := func(b []byte) []byte { return bytes.Replace(b, wide("Workbook"), wide("WORKBOOK"), 1) }
	far := func(encrypt string) []byte {
		// The newest section lies behind a long stream, and leads back to an older
		// one in the middle, which alone says that the document is encrypted.
		head := "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
		b := join(head, noise(200_000), "\n")
		old := len(b)
		b = join(b, "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 4/Root 1 0 R", encrypt, ">>\nstartxref\n0\n%%EOF\n", noise(200_000), "\n")
		at := len(b)
		return join(b, fmt.Sprintf("xref\n0 2\n0000000000 65535 f \n%010d 00000 n \ntrailer\n<</Size 4/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", 15, old, at))
	}
	action := func(catalog, more string) []byte {
		b := join("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", noise(100_000), "\n")
		at1 := len(b)
		b = join(b, "1 0 obj\n<</Type/Catalog", catalog, ">>\nendobj\n")
		at2 := len(b)
		b = join(b, "2 0 obj\n", more, "\nendobj\n", noise(150_000), "\n")
		x := len(b)
		return join(b, fmt.Sprintf("xref\n0 3\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \ntrailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", at1, at2, x))
	}
	checkFields(t, []field{
		{name: "directory in two places", data: makeOLEIn(2, 9, nil, many...), want: docType, source: ByBytes},
		{name: "directory in two places, stated", job: docType, data: makeOLEIn(2, 9, nil, many...), want: docType, source: ByJob},
		{name: "directory apart over a large file", data: makeOLEIn(300, 60, nil, many...), want: docType},
		{name: "a sector of the directory far behind", data: join(makeOLEIn(50, 900, nil, many...), noise(90_000)), want: docType},
		{name: "macros in the second run", data: makeOLEIn(2, 9, nil, vba...), want: CodeMacros},
		{name: "macros in a run far behind", data: makeOLEIn(300, 400, nil, vba...), want: CodeMacros},
		{name: "macros in capitals", data: bytes.Replace(makeOLE(2, nil, "Workbook", "_VBA_PROJECT_CUR"), wide("_VBA_PROJECT_CUR"), wide("_vba_project_cur"), 1), want: CodeMacros},
		{name: "names in capitals, doc", data: swap(makeOLE(2, nil, "WordDocument", "1Table")), want: docType},
		{name: "names in capitals, xls", data: excel(makeOLE(2, nil, "Workbook")), want: xlsType},
		{name: "a directory that leads in a circle", data: circle(makeOLEIn(2, 9, nil, many...)), want: CodeBeyond},
		{name: "a directory that leads out of the file", data: makeOLEIn(2, 9, nil, many...)[:6000], want: CodeTruncated},
		{name: "macros first of many parts", data: makeOffice("word/document.xml", append([]string{"word/vbaProject.bin"}, numbered("word/media/", 2500)...)...), want: CodeMacros},
		{name: "a program first of many parts", data: makeOffice("xl/workbook.xml", append([]string{"xl/media/a.exe"}, numbered("xl/media/", 2500)...)...), want: CodeExecutable},
		{name: "many parts", data: makeOffice("word/document.xml", numbered("word/media/", 2500)...), want: docxType},
		{name: "mimetype last", data: makePackage("content.xml", "<x/>", "META-INF/manifest.xml", "<x/>", "mimetype", filetype.ODT), want: filetype.ODT},
		{name: "mimetype in the middle", data: makePackage("styles.xml", "<x/>", "mimetype", filetype.ODS+"\n", "content.xml", "<x/>"), want: filetype.ODS},
		{name: "no mimetype", data: makePackage("content.xml", "<x/>", "META-INF/manifest.xml", `<manifest:manifest><manifest:file-entry manifest:full-path="/" manifest:media-type="`+filetype.ODP+`"/></manifest:manifest>`), want: filetype.ODP},
		{name: "OpenDocument with a password", data: makePackage("mimetype", filetype.ODT, "content.xml", "<x/>", "META-INF/manifest.xml", `<m><m:encryption-data/></m>`), want: CodeEncrypted},
		{name: "macros by the content types", data: makePackage("[Content_Types].xml", `<Types><Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>`, "word/document.xml", "<x/>"), want: CodeMacros},
		{name: "the main part of another name", data: makePackage("[Content_Types].xml", `<Types><Override PartName="/a/b.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`, "a/b.xml", "<x/>"), want: docxType},
		{name: "a harmless object", data: makePackage("[Content_Types].xml", "<Types/>", "word/document.xml", "<x/>", "word/embeddings/oleObject1.bin", string(makeOLE(2, nil, "Workbook"))), want: docxType},
		{name: "macros in an object", data: makePackage("[Content_Types].xml", "<Types/>", "word/document.xml", "<x/>", "word/embeddings/oleObject1.bin", string(makeOLE(2, nil, "Workbook", "_VBA_PROJECT_CUR"))), want: CodeMacros},
		{name: "a PDF of two revisions", data: far(""), want: pdfType},
		{name: "a PDF encrypted by an old trailer", data: far("/Encrypt 9 0 R"), want: CodeEncrypted},
		{name: "an action in the middle", data: action("/OpenAction 2 0 R", "<</S/Launch/F(cmd.exe)>>"), want: CodeActive},
		{name: "an action of the catalog's", data: action("/AA<</WC 2 0 R>>", "<</S/Launch>>"), want: CodeActive},
		{name: "an action behind another", data: action("/OpenAction<</S/GoTo/Next 2 0 R>>", "<</S/Lau#6ech>>"), want: CodeActive},
		{name: "a harmless action", data: action("/OpenAction 2 0 R", "<</S/GoTo/D[0]>>"), want: pdfType},
		{name: "a program attached", data: action("/Names<</EmbeddedFiles<</Names[(a) 2 0 R]>>>>", "<</Type/Filespec/F(run.exe)>>"), want: CodeExecutable},
		{name: "an invoice attached", data: action("/Names<</EmbeddedFiles<</Names[(a) 2 0 R]>>>>", "<</Type/Filespec/F(invoice.xml)/UF(\xfe\xff\x00a\x00.\x00x\x00m\x00l)>>"), want: pdfType},
		{name: "70 KB of zeros behind", data: join(makePDF(9000, ""), make([]byte, 70_000)), want: pdfType},
		{name: "500 KB of zeros behind", data: join(makePDF(90_000, ""), make([]byte, 500_000)), want: pdfType},
		{name: "zeros behind a picture", data: join(makeJPEG(), make([]byte, 100_000)), want: filetype.JPEG},
		{name: "zeros in place of the end", data: join(makePDF(90_000, "")[:80_000], make([]byte, 70_000)), want: CodeTruncated},
		{name: "2 MB of zeros behind", data: join(makePDF(9000, ""), make([]byte, 2<<20)), want: CodeTruncated},
		{name: "an archive before the zeros", data: join(makePDF(90_000, ""), makeZip("a.txt"), make([]byte, 100_000)), want: CodeHiddenArchive},
	})
}

// TestStreamsThatGrow: a PDF of many small streams that unpack to much costs a
// bounded amount, and is refused.
func TestStreamsThatGrow(t *testing.T) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(bytes.Repeat([]byte(" "), streamGives)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Each name of an attached file lies in an object stream of its own.
	b, rows, names := []byte("%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"), []byte{0, 0, 0, 0, 0}, ""
	row := func(kind byte, at, third int) {
		rows = append(rows, kind, byte(at>>16), byte(at>>8), byte(at), byte(third))
	}
	const streams = 40
	for i := range streams {
		row(1, len(b), 0)
		b = join(b, fmt.Sprintf("%d 0 obj\n<</Type/ObjStm/N 1/First 9/Filter/FlateDecode/Length %d>>\nstream\n", i+1, packed.Len()), packed.Bytes(), "\nendstream\nendobj\n")
		names += fmt.Sprintf("(a) %d 0 R ", streams+i+1)
	}
	for i := range streams {
		row(2, i+1, 0)
	}
	row(1, len(b), 0)
	b = join(b, fmt.Sprintf("%d 0 obj\n<</Type/Catalog/Names<</EmbeddedFiles<</Names[%s]>>>>>>\nendobj\n", 2*streams+1, names))
	at := len(b)
	b = join(b, fmt.Sprintf("%d 0 obj\n<</Type/XRef/Size %d/W[1 3 1]/Root %d 0 R/Length %d>>\nstream\n", 2*streams+2, 2*streams+2, 2*streams+1, len(rows)), rows,
		fmt.Sprintf("\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", at))
	checkFields(t, []field{{name: "40 streams of 1 MiB", data: b, want: CodeBeyond}})
}

// circle makes the last sector of the directory lead to its first one.
func circle(b []byte) []byte {
	end := []byte{0xFE, 0xFF, 0xFF, 0xFF}
	fat := 512 + 512*int(uint32(b[76])|uint32(b[77])<<8)
	i := bytes.Index(b[fat:], end)
	copy(b[fat+i:], []byte{2, 0, 0, 0})
	return b
}

// TestTextIsEarned: what is no text to its end does not leave as text.
func TestTextIsEarned(t *testing.T) {
	long := strings.Repeat("Report of the day.\r\n", 250)
	mail := func(first string) []byte {
		return []byte(first + "\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nFrom: a@example.com\r\nTo: b@example.com\r\nSubject: report\r\n\r\ntext\r\n")
	}
	edf := fmt.Sprintf("%-8s%-80s%-80s%s%s%-8d%-44s%-8d%-8d%-4d", "0", "X X X X", "Startdate 30-NOV-2026 X X X", "30.11.26", "10.00.00", 5376, "EDF+C", 20, 1, 20)
	edf += strings.Repeat(fmt.Sprintf("%-16s", "EEG"), 320)
	var list []field
	for first, want := range map[string]string{
		"Authentication-Results: mx.example.com; spf=pass": CodeNotAllowed, "DKIM-Signature: v=1; a=rsa-sha256;\r\n b=abc": CodeNotAllowed, "Mime-Version: 1.0": CodeNotAllowed,
		"X-Mailer: Example 1": CodeNotAllowed, "X-Notes-Item: Memo;\r\n name=Form": CodeNotAllowed, "From a@example.com Mon Nov 30 10:00:00 2026": CodeNotAllowed,
		"ARC-Seal: i=1": CodeNotAllowed, "Received: from a by b": CodeNotAllowed, "Return-Path: <a@example.com>": CodeNotAllowed, "List-Id: <a.example.com>": CodeNotAllowed,
		"Message-ID  : <1@example.com>": CodeNotAllowed, "From b@example.com\r\nX-Spam-Flag: NO": CodeNotAllowed, "From -": CodeNotAllowed, "1795": CodeNotAllowed, "Subject: first": CodeNotAllowed,
	} {
		list = append(list, field{name: first, data: mail(first), want: want}, field{name: first + ", the store says mail", store: mailType, data: mail(first), want: want},
			field{name: first + ", the store says text", store: textType, data: mail(first), want: want})
	}
	checkFields(t, append(list, []field{
		{name: "a letter with a heading", data: []byte("From: ward 3\nTo: archive\nDate: today\nSubject: transfer\n\nText.\n"), want: textType},
		{name: "a sentence", data: []byte("From then on the patient was well.\nDate: 1.2.2026\nFinding: normal\n"), want: textType},
		{name: "a report of fields", data: []byte("Patient: Example\nDate: 1.2.2026\nFinding: normal\n"), want: textType},
		{name: "an EEG recording", data: join(edf, noise(25_000)), want: CodeUnknown},
		{name: "an EEG recording of letters", data: []byte(edf + long), want: CodeUnknown},
		{name: "BDF", data: join("\xffBIOSEMI", edf[8:], noise(9000)), want: CodeUnknown},
		{name: "FITS", data: join(fmt.Sprintf("%-80s%-80s%-5600s", "SIMPLE  =                    T", "BITPIX  =                   16", "END"), noise(9000)), want: CodeUnknown},
		{name: "FITS, its head alone", data: []byte(fmt.Sprintf("%-80s%-80s%-5600s", "SIMPLE  =                    T", "BITPIX  =                   16", "END")), want: CodeUnknown},
		{name: "NRRD", data: join("NRRD0004\n", strings.Repeat("# comment of the modality\n", 200), "type: short\n\n", noise(9000)), want: CodeUnknown},
		{name: "NRRD in letters", data: []byte("NRRD0004\ntype: short\nencoding: ascii\n\n1 2 3\n"), want: CodeUnknown},
		{name: "a volume of VTK", data: []byte("# vtk DataFile Version 3.0\nvolume\nASCII\n"), want: CodeUnknown},
		{name: "uuencode", data: []byte("begin 644 run.exe\nM35J0``,````$````\n`\nend\n"), want: CodeUnknown},
		{name: "a program in base64", data: []byte("TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAA=\n"), want: CodeUnknown},
		{name: "a table with an id", data: []byte("ID;Patient;Wert\n1;x;2\n"), want: textType},
		{name: "a spreadsheet in letters", data: []byte("ID;PWXL;N;E\nC;Y1;X1;K\"=cmd\"\nE\n"), want: CodeUnknown},
		{name: "a bitmap in letters", data: []byte("P1\n# x\n2 2\n1 0 0 1\n"), want: CodeUnknown},
		{name: "a PDF without its first line", data: []byte("%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n"), want: CodeUnknown},
		{name: "a program behind 4 KB of text", data: join(long, makePE()), want: CodeUnknown},
		{name: "noise behind 100 KB of text", data: join(strings.Repeat(long, 20), noise(2000)), want: CodeUnknown},
		{name: "noise in the middle of a text", data: join(strings.Repeat(long, 20), noise(200), strings.Repeat(long, 40)), want: CodeUnknown},
		{name: "noise behind 2 MB of text", data: join(strings.Repeat(long, 420), noise(2000)), want: CodeUnknown},
		{name: "a zero in the middle of a text", data: join(long, "\x00", long), want: CodeUnknown},
		{name: "noise behind XML", data: join("<?xml version=\"1.0\"?><a>", long, noise(2000), "</a>"), want: CodeUnknown},
		{name: "noise behind HL7", data: join(hl7, strings.Repeat("NTE|1||words\r", 400), noise(2000)), want: CodeUnknown},
		{name: "noise that the job calls text", job: textType, data: join(long, noise(9000)), want: CodeUnknown},
		{name: "a text of 2 MB", data: []byte(strings.Repeat(long, 420)), want: textType},
		{name: "UTF-8 across the pieces", data: []byte("a" + strings.Repeat("ä€", 300_000)), want: textType},
		{name: "a mark of UTF-8 before Latin-1", data: []byte("\xef\xbb\xbfM\xfcller"), want: CodeUnknown},
		{name: "UTF-16 of 300 KB", data: utf16(strings.Repeat(long, 30)), want: textType},
		{name: "UTF-16 with a zero", data: utf16(long + "\x00" + long), want: CodeUnknown},
	}...))
}

// TestStrayBytes: a byte before or behind a known document does not make it
// unknown.
func TestStrayBytes(t *testing.T) {
	pdf := makePDF(9000, "")
	checkFields(t, []field{
		{name: "zero behind RTF", data: []byte(rtf + "\n\x00"), want: rtfType},
		{name: "zero behind RTF, stated", job: "application/rtf", data: []byte(rtf + "\n\x00"), want: "application/rtf"},
		{name: "blank line before RTF", store: "application/rtf", data: []byte("\r\n" + rtf), want: "application/rtf"},
		{name: "byte order mark before RTF", data: []byte("\xef\xbb\xbf" + rtf), want: rtfType},
		{name: "blanks before RTF", data: []byte("  \t" + rtf), want: rtfType},
		{name: "a picture in RTF", data: []byte("{\\rtf1\\ansi x {\\pict\\bin20 \x01\x02\x03\x04\x05\x06\x07\x08\x00\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14}\\par}"), want: rtfType},
		{name: "zero behind a text", job: textType, data: []byte("Befund: unauffaellig\r\n\x00"), want: textType},
		{name: "zero behind a text that nobody calls so", data: []byte("Befund: unauffaellig\r\n\x00\x00\x00"), want: textType},
		{name: "a text in a block of 64 KB", data: join("Befund: unauffaellig\r\n", make([]byte, 65_000)), want: textType},
		{name: "zero behind HL7", data: []byte(hl7 + "\x00"), want: textType},
		{name: "zero behind HL7 in its frame", job: "application/hl7-v2", data: []byte("\x0b" + hl7 + "\x1c\r\x00"), want: filetype.HL7},
		{name: "blank line before HL7", data: []byte("\r\n" + hl7), want: textType},
		{name: "byte order mark before HL7", job: "application/hl7-v2", data: []byte("\xef\xbb\xbf" + hl7), want: filetype.HL7},
		{name: "zero behind XML", data: []byte(cda + "\x00"), want: xmlType},
		{name: "blank line before XML", data: []byte("\r\n<?xml version=\"1.0\"?>" + cda), want: xmlType},
		{name: "zero behind JSON", data: []byte(fhirDoc + "\n\x00"), want: jsonType},
		{name: "end mark of MS-DOS behind CSV", data: []byte("a,b\n1,2\n3,4\n\x1a"), want: filetype.CSV},
		{name: "words before the PDF, on its line", data: join("Report 4711 ", pdf), want: pdfType},
		{name: "words before the PDF, stated", job: pdfType, data: join("Report 4711 ", pdf), want: pdfType},
		{name: "words before the PDF, the store says PDF", store: pdfType, data: join("Report 4711 ", pdf), want: pdfType},
		{name: "words before the PDF, the store says text", store: textType, data: join("Report 4711 ", pdf), want: pdfType},
		{name: "900 bytes before the PDF", data: join(strings.Repeat("x", 900), pdf), want: pdfType},
		{name: "a text about PDF", data: []byte("a file with %PDF-1.4 at its start is a PDF\n"), want: textType},
		{name: "OS/2's bitmap", data: join("BM\x00\x01\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00\x0c\x00\x00\x00\x04\x00\x04\x00\x01\x00\x18\x00", noise(200)), want: filetype.BMP},
	})
}

// TestWhoSaysSo: the job is believed before the bytes, and the bytes before the
// store. Registered names leave, with the charset that was stated.
func TestWhoSaysSo(t *testing.T) {
	jpg, latin := makeJPEG(), []byte("M\xfcller, 37 \xb0C, unauff\xe4llig \x96 o. B.\x93\r\n")
	csv := []byte("Name;Wert\r\nM\xfcller;4,1\r\n")
	checkFields(t, []field{
		{name: "jpg", store: "image/jpg", data: jpg, want: filetype.JPEG, source: ByBytes},
		{name: "pjpeg", store: "image/pjpeg", data: jpg, want: filetype.JPEG},
		{name: "jpg, the job's", job: "image/jpg", data: jpg, want: filetype.JPEG, source: ByJob},
		{name: "x-ms-bmp", store: "image/x-ms-bmp", data: join("BM\x00\x01\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00\x28\x00\x00\x00", noise(200)), want: filetype.BMP},
		{name: "x-pdf", store: "application/x-pdf", data: makePDF(9, ""), want: pdfType},
		{name: "acrobat", store: "application/acrobat", data: makePDF(9, ""), want: pdfType},
		{name: "x-png", store: "image/x-png", data: makePNG(), want: filetype.PNG},
		{name: "the store knows better names", store: "application/rtf", data: []byte(rtf), want: "application/rtf", source: ByBytes},
		{name: "the store is wrong", store: "image/png", data: jpg, want: filetype.JPEG, source: ByBytes},
		{name: "the job is wrong", job: "image/png", store: "image/jpeg", data: jpg, want: CodeContradicted},
		{name: "text beside RTF", store: textType, data: []byte(rtf), want: rtfType, source: ByBytes},
		{name: "text beside XML", store: textType, data: []byte(`<?xml version="1.0"?>` + cda), want: xmlType, source: ByBytes},
		{name: "text beside JSON", store: textType, data: []byte(fhirDoc), want: jsonType, source: ByBytes},
		{name: "text beside a calendar", store: textType, data: []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"), want: filetype.ICal, source: ByBytes},
		{name: "text beside a table", store: textType, data: []byte("a,b\n1,2\n3,4\n"), want: textType, source: ByStore},
		{name: "text beside a page", store: textType, data: []byte("<table><tr><td>x</td></tr></table>"), want: CodeNotAllowed},
		{name: "text of the job's beside a page's tag", job: textType, data: []byte("<b>x</b> and more"), want: textType, source: ByJob},
		{name: "csv by the store", store: "text/csv", data: []byte("a;b\n"), want: filetype.CSV, source: ByStore},
		{name: "markdown by the store", store: "text/markdown", data: []byte("# Findings\n"), want: "text/markdown", source: ByStore},
		{name: "a made-up type of the store's", store: "text/kanarienvogel", data: []byte("words"), want: textType, source: ByStore},
		{name: "a made-up type of the job's", job: "text/kanarienvogel", data: []byte("words"), want: "text/kanarienvogel", source: ByJob},
		{name: "charset of the store's", store: "text/plain; charset=windows-1252", data: latin, want: "text/plain; charset=windows-1252"},
		{name: "charset of the job's", job: "text/plain; charset=windows-1252", data: latin, want: "text/plain; charset=windows-1252", source: ByJob},
		{name: "charset of a table", store: "text/csv; charset=windows-1252", data: csv, want: "text/csv; charset=windows-1252", source: ByStore},
		{name: "charset of a table, the job's", job: "text/csv; charset=ISO-8859-1", store: "text/plain; charset=utf-8", data: csv, want: "text/csv; charset=iso-8859-1"},
		{name: "charset of XML", job: "application/xml; charset=utf-8", data: []byte(cda), want: "application/xml; charset=utf-8"},
		{name: "a charset that is wrong, the store's", store: "text/plain; charset=utf-8", data: latin, want: textType},
		{name: "a charset that is wrong, the job's", job: "text/plain; charset=utf-8", data: latin, want: CodeCharset},
		{name: "a charset that is made up, the store's", store: "text/plain; charset=kanarienvogel", data: latin, want: textType},
		{name: "no charset, and none is invented", data: latin, want: textType},
		{name: "UTF-8 without a charset", data: []byte("Müller"), want: textType},
		{name: "UTF-16 by its charset alone", job: "text/plain; charset=utf-16le", data: wide("Findings: normal.\r\n"), want: "text/plain; charset=utf-16le"},
		{name: "a PDF has no charset", store: "application/pdf; charset=binary", data: makePDF(9, ""), want: pdfType},
		{name: "JSON has no charset", job: "application/json; charset=utf-8", data: []byte(fhirDoc), want: jsonType},
		{name: "a docx that is called a zip", job: "application/zip", data: makeOffice("word/document.xml"), want: docxType, source: ByBytes},
	})
}

// TestMarkup: a fragment without a declaration is XML by its first element, and
// only a doctype declares entities.
func TestMarkup(t *testing.T) {
	checkFields(t, []field{
		{name: "a section", store: "application/octet-stream", key: "a.xml", data: []byte("<section>\n<templateId root=\"2.16.840.1.113883.10.20.22.2.3.1\"/>\n<text>x</text>\n</section>\n"), want: xmlType},
		{name: "an entry", data: []byte("<entry typeCode=\"DRIV\"><act/></entry>"), want: xmlType},
		{name: "an element with a prefix", data: []byte("<cda:text xmlns:cda=\"urn:hl7-org:v3\"/>"), want: xmlType},
		{name: "a comment of 6 KB", data: join("<!--", strings.Repeat("license ", 700), "-->\n", cda), want: xmlType},
		{name: "a page behind a comment of 6 KB", data: join("<!--", strings.Repeat("license ", 700), "-->\n<html><script>1</script></html>"), want: CodeNotAllowed},
		{name: "entities behind a comment of 6 KB", data: join("<!--", strings.Repeat("license ", 700), "--><!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>"), want: CodeActive},
		{name: "the word in a text", data: []byte("<?xml version=\"1.0\"?>\n<a><![CDATA[how to write <!ENTITY x]]></a>"), want: xmlType},
		{name: "the word in a comment", data: []byte("<?xml version=\"1.0\"?><a><!-- <!ENTITY x --></a>"), want: xmlType},
		{name: "an entity", data: []byte("<!DOCTYPE a [<!ELEMENT a ANY>\n<!ENTITY b SYSTEM \"file:///etc/passwd\">\n]\n><a>&b;</a>"), want: CodeActive},
		{name: "an entity in UTF-16", data: utf16("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>"), want: CodeActive},
		{name: "a root like a script's", store: "text/xml", data: []byte("<jobReport xmlns=\"urn:x\"><a/></jobReport>"), want: xmlType},
		{name: "a job that is none", data: []byte("<job><name>print</name></job>"), want: xmlType},
		{name: "a script file of Windows", data: []byte("<job id=\"a\"><script language=\"VBScript\">x</script></job>"), want: CodeScript},
		{name: "a package of scripts", data: []byte("<?xml version=\"1.0\"?><package><job><script>x</script></job></package>"), want: CodeScript},
		{name: "an address in brackets", data: []byte("<a@example.com> wrote: all is well\n"), want: textType},
		{name: "a page's body behind a comment", data: []byte("<!-- x -->\n<body><p>x</p></body>"), want: CodeNotAllowed},
		{name: "a list of bookmarks", data: []byte("<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<TITLE>Bookmarks</TITLE>"), want: CodeNotAllowed},
		{name: "a title with a subset", data: []byte("<!DOCTYPE title [<!ELEMENT title ANY>]><title>x</title>"), want: xmlType},
		{name: "a table of HTML", data: []byte("<table><tr><td>x</td></tr></table>"), want: CodeNotAllowed},
	})
}

// TestOwnerPasswords: a PDF that every reader opens without a password leaves.
func TestOwnerPasswords(t *testing.T) {
	for _, f := range glob(t, "testdata/encrypted/*.pdf") {
		want := pdfType
		if strings.Contains(f, "user-") {
			want = CodeEncrypted
		}
		checkFields(t, []field{{name: f, data: read(t, f), want: want}})
	}
}

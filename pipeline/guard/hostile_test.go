package guard

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
)

type hostile struct {
	name, declared string
	data           []byte
	want           string
}

// hostiles are files that must not leave, with the code each ends in.
func hostiles(t testing.TB) []hostile {
	jpg, pngs, pdf, zips := makeJPEG(), makePNG(), makePDF(100_000, ""), makeZip("a.txt", "b.txt")
	long := strings.Repeat("all is well with the patient today. ", 4000)
	pages := func(body string) []byte { return []byte("<!DOCTYPE html><html><body>" + body + "</body></html>") }
	eicar := "X5O!P%@AP[4" + `\PZX54(P^)7CC)7}$EICAR` + "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
	list := []hostile{
		// programs
		{"a.pdf", pdfType, makePE(), CodeExecutable},
		{"a.pdf", "", append([]byte("MZ"), noise(9000)...), CodeExecutable},
		{"a.dcm", dicomType, join(makePE()[:128], "DICM", makePE()[132:]), CodeExecutable},
		{"a.pdf", pdfType, join("\x7fELF", make([]byte, 60), pdf), CodeExecutable},
		{"a.class", "", join("\xca\xfe\xba\xbe\x00\x00\x00\x41", noise(900)), CodeExecutable},
		{"a.bin", "", join("dex\n035\x00", noise(900)), CodeExecutable},
		{"a.bin", "", join("\x00asm\x01\x00\x00\x00", noise(900)), CodeExecutable},
		{"a.txt", textType, []byte(eicar), CodeExecutable},
		{"a.lnk", "", join("L\x00\x00\x00\x01\x14\x02\x00", noise(900)), CodeExecutable},
		{"a.txt", "", join("L\x00\x00\x00\x01\x14\x02\x00", noise(900)), CodeExecutable},
		{"invoice.pdf.exe", pdfType, pdf, CodeExecutable},
		{"invoice.pdf.EXE. .", pdfType, pdf, CodeExecutable},
		{"folder/x.hta", "", pages("x"), CodeExecutable},
		{"a.bin", "application/x-msdownload", noise(9000), CodeExecutable},
		// scripts
		{"a.txt", textType, []byte("#!/bin/sh\nrm -rf /\n"), CodeScript},
		{"a.txt", "", []byte("#! /usr/bin/unknown-shell\n"), CodeScript},
		{"a.txt", textType, []byte("\xef\xbb\xbf#!/usr/bin/env python3\n"), CodeScript},
		{"a.txt", textType, []byte("@ECHO OFF\r\ndel *.*\r\n"), CodeScript},
		{"a.txt", textType, []byte("<?php system($_GET['a']);"), CodeScript},
		{"a.txt", textType, []byte("[InternetShortcut]\r\nURL=file://x\r\n"), CodeScript},
		{"a.reg.txt", textType, utf16("Windows Registry Editor Version 5.00\r\n"), CodeScript},
		{"run.ps1", textType, []byte("Remove-Item x"), CodeScript},
		{"run.BAT", "", []byte("del x"), CodeScript},
		{"run.vbs", textType, []byte("x = 1"), CodeScript},
		{"run.js", "", []byte("var a = 1"), CodeScript},
		{"run.sh", textType, []byte("rm x"), CodeScript},
		{"run.py", textType, []byte("import os"), CodeScript},
		{"reports/2026/run.cmd", textType, []byte("del x"), CodeScript},
		{"a.txt", "application/javascript", []byte("alert(1)"), CodeScript},
		{"a.vbe", "", append([]byte("#@~^"), noise(900)...), CodeScript},
		// archives and packages
		{"a.zip", "application/zip", zips, CodeArchive},
		{"a.docx", docxType, zips, CodeArchive},
		{"a.docx", docxType, makeZip("word/document.xml", "b.txt"), CodeArchive},
		{"a.pdf", pdfType, zips, CodeArchive},
		{"a.gz", "", join("\x1f\x8b\x08\x00", noise(900)), CodeArchive},
		{"a.7z", "", join("7z\xbc\xaf\x27\x1c", noise(900)), CodeArchive},
		{"a.rar", "", join("Rar!\x1a\x07\x01\x00", noise(900)), CodeArchive},
		{"a.xz", "", join("\xfd7zXZ\x00", noise(900)), CodeArchive},
		{"a.zst", "", join("\x28\xb5\x2f\xfd", noise(900)), CodeArchive},
		{"a.cab", "", join("MSCF\x00\x00\x00\x00", noise(900)), CodeArchive},
		{"a.iso", "", make([]byte, 40_000), CodeArchive},
		{"a.jar", "", makeZip("META-INF/MANIFEST.MF", "A.class"), CodeExecutable},
		{"a.bin", "", makeZip("META-INF/MANIFEST.MF", "A.class"), CodeArchive},
		{"a.odt", "", makeZip("mimetype", "a"), CodeArchive},
		{"a.deb", "", join("!<arch>\ndebian-binary   ", noise(900)), CodeInstaller},
		{"a.bin", "", join("!<arch>\ndebian-binary   ", noise(900)), CodeInstaller},
		{"a.bin", "", join("\xed\xab\xee\xdb", noise(900)), CodeInstaller},
		{"a.doc", docType, makeOLE(2, installerClass, "WordDocument"), CodeInstaller},
		// macros, and what documents carry
		{"a.docm", docxType, makeOffice("word/document.xml"), CodeMacros},
		{"a.docx", docxType, makeOffice("word/document.xml", "word/vbaProject.bin"), CodeMacros},
		{"huge.pptx", pptxType, makeOffice("ppt/presentation.xml", append(numbered("ppt/slides/", 1200), "ppt/vbaProject.bin")...), CodeMacros},
		{"a.docx", docxType, makeOffice("word/document.xml", `word\VBAPROJECT.BIN`), CodeMacros},
		{"a.xlsx", "", makeOffice("xl/workbook.xml", "xl/macrosheets/sheet1.xml"), CodeMacros},
		{"a.docx", "", makeOffice("word/document.xml", "word/activeX/activeX1.bin"), CodeMacros},
		{"a.docx", "", makeOffice("word/document.xml", "word/embeddings/book.xlsm"), CodeMacros},
		{"a.docx", "", makeOffice("word/document.xml", "word/media/setup.exe"), CodeExecutable},
		{"a.docx", "", makeOffice("word/document.xml", "word/embeddings/run.js"), CodeScript},
		{"a.docx", "", makeOffice("word/document.xml", "word/embeddings/all.zip"), CodeArchive},
		{"hidden-entries.docx", docxType, hideEntries(makeZip("word/vbaProject.bin", "[Content_Types].xml", "word/document.xml"), true), CodeMacros},
		{"hidden-entries.docx", docxType, hideEntries(makeZip("a.txt", "[Content_Types].xml", "word/document.xml"), false), CodeHiddenArchive},
		{"a.odt", "", makeODF("text", "Basic/Standard/Module1.xml"), CodeMacros},
		{"a.odt", "", makeODF("text", "Scripts/python/run.py"), CodeMacros},
		{"a.doc", docType, makeOLE(2, nil, "WordDocument", "Macros", "VBA", "_VBA_PROJECT"), CodeMacros},
		{"middle.xls", xlsType, join(makeOLE(50, nil, "Workbook", "_VBA_PROJECT_CUR"), noise(300_000)), CodeMacros},
		{"a.xml", "text/xml", []byte(`<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="x" w:macrosPresent="yes"></w:wordDocument>`), CodeMacros},
		// archives behind something else
		{"a.pdf", pdfType, join(pdf, zips), CodeHiddenArchive},
		{"a.pdf", pdfType, join(pdf, zips, noise(10_000)), CodeHiddenArchive},
		{"small.pdf", pdfType, join(makePDF(50, ""), zips), CodeHiddenArchive},
		{"a.pdf", pdfType, join(pdf, makeZip(numbered("a/", 1200)...)), CodeHiddenArchive},
		{"a.pdf", pdfType, join(pdf, "Rar!\x1a\x07\x00", noise(900)), CodeHiddenArchive},
		{"a.jpg", "image/jpeg", join(jpg, zips), CodeHiddenArchive},
		{"a.png", "image/png", join(pngs, zips), CodeHiddenArchive},
		{"a.gif", "image/gif", join(makeGIF(), makeZip("META-INF/MANIFEST.MF", "A.class")), CodeHiddenArchive},
		{"a.png", "image/png", join(pngs, "7z\xbc\xaf\x27\x1c", noise(900)), CodeHiddenArchive},
		{"a.txt", textType, join(long, zips), CodeHiddenArchive},
		{"a.dcm", dicomType, join(makeDICOM(true), zips), CodeHiddenArchive},
		// two types at once
		{"a.gif", "image/gif", join("GIF89a", make([]byte, 20), pdf), CodePolyglot},
		{"a.jpg", "image/jpeg", join(jpg[:20], "\xff\xfe\x01\x00", pdf), CodePolyglot},
		{"a.pdf", pdfType, join(pages("x"), "\n", pdf), CodePolyglot},
		// encrypted
		{"a.pdf", pdfType, makePDF(100_000, "/Encrypt 5 0 R"), CodeEncrypted},
		{"a.pdf", pdfType, makePDF(10, "/Encrypt<</Filter/Standard>>"), CodeEncrypted},
		{"a.pdf", pdfType, makePDF(10, "/EncryptMetadata true /Encrypt\r\n5 0 R"), CodeEncrypted},
		{"a.pdf", pdfType, makeXrefPDF("/Encrypt 5 0 R"), CodeEncrypted},
		{"a.pdf", pdfType, join("%PDF-1.4\n1 0 obj\n<</Linearized 1/L 5000/O 3>>\nendobj\nxref\n0 1\ntrailer\n<</Encrypt 3 0 R/Size 4>>\nstartxref\n0\n%%EOF\n", pdf), CodeEncrypted},
		{"a.docx", docxType, makeOLE(2, nil, "EncryptionInfo", "EncryptedPackage"), CodeEncrypted},
		// cut off
		{"a.pdf", pdfType, pdf[:90_000], CodeTruncated},
		{"a.pdf", pdfType, pdf[:2000], CodeTruncated},
		{"a.pdf", pdfType, join(pdf, "4 0 obj\n<</Length 100>>\nstream\n"), CodeTruncated},
		{"a.pdf", pdfType, join("%PDF-1.4\n1 0 obj\n<</Linearized 1/L 5000000/O 3>>\nendobj\n", pdf), CodeTruncated},
		{"a.jpg", "image/jpeg", jpg[:len(jpg)-700], CodeTruncated},
		{"a.png", "image/png", pngs[:len(pngs)-7], CodeTruncated},
		{"a.webp", "image/webp", join("RIFF\x00\x00\x01\x00WEBPVP8 ", noise(900)), CodeTruncated},
		{"a.tif", tiffType, join("II*\x00\x00\x00\x01\x00", noise(900)), CodeTruncated},
		{"a.docx", docxType, makeOffice("word/document.xml")[:1500], CodeTruncated},
		{"a.doc", docType, makeOLE(90, nil, "WordDocument")[:9000], CodeTruncated},
		{"a.xml", "text/xml", []byte(`<?xml version="1.0"?><a><b>`)[:26], CodeTruncated},
		{"a.json", jsonType, []byte(`{"a":"` + long), CodeTruncated},
		// what the page or the document does
		{"a.pdf", pdfType, makePDF(10, "/OpenAction<</S /Launch/F(cmd)>>"), CodeActive},
		{"a.xml", "text/xml", []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`), CodeActive},
		// declared otherwise
		{"a.pdf", pdfType, jpg, CodeContradicted},
		{"a.jpg", "image/jpeg", pngs, CodeContradicted},
		{"a.txt", textType, pdf, CodeContradicted},
		{"a.txt", textType, pages("x"), CodeContradicted},
		{"a.pdf", pdfType, []byte("no PDF at all"), CodeContradicted},
		{"a.pdf", pdfType, pages("Sign in to the hospital's network"), CodeContradicted},
		{"a.dcm", dicomType, jpg, CodeContradicted},
		{"a.rtf", "application/rtf", []byte("no RTF"), CodeContradicted},
		{"a.xml", "text/xml", []byte("no XML"), CodeContradicted},
		{"a.json", jsonType, []byte("no JSON"), CodeContradicted},
		{"a.hl7", "application/hl7-v2", []byte("no HL7"), CodeContradicted},
		{"a.doc", docType, makeOffice("word/document.xml"), CodeContradicted},
		{"a.xlsx", xlsxType, makeOffice("word/document.xml"), CodeContradicted},
		{"a.doc", docType, []byte(rtf), CodeContradicted},
		{"a.pdf", "application/x-something", pdf, CodeContradicted},
		{"a.jpg", "application/zip", jpg, CodeContradicted},
		// known and not wanted
		{"a.html", "text/html", pages("x"), CodeNotAllowed},
		{"a.html", "", pages("<script>alert(1)</script>"), CodeNotAllowed},
		{"a.html", "", utf16("<!DOCTYPE html><html><body>x</body></html>"), CodeNotAllowed},
		{"a.txt", "text/html", []byte("words"), CodeContradicted},
		{"a.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>`), CodeNotAllowed},
		{"a.svg", "", []byte(`<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg"></svg>`), CodeNotAllowed},
		{"a.ps", "", []byte("%!PS-Adobe-3.0\n"), CodeNotAllowed},
		{"a.eml", "message/rfc822", []byte("Message-ID: <1>\r\nFrom: a\r\nMIME-Version: 1.0\r\n\r\nx"), CodeNotAllowed},
		{"a.msg", "", makeOLE(2, nil, "__properties_version1.0"), CodeNotAllowed},
		{"a.epub", "", makeZipEpub(), CodeNotAllowed},
		{"a.xlsb", "", makeOffice("xl/workbook.bin"), CodeNotAllowed},
		{"a.ole", "", makeOLE(2, nil, "Something"), CodeNotAllowed},
		{"a.sqlite", "", join("SQLite format 3\x00", noise(900)), CodeNotAllowed},
		// of no known type
		{"a.bin", "", noise(9000), CodeUnknown},
		{"a.pdf", pdfType, noise(9000), CodeUnknown},
		{"a.txt", textType, noise(9000), CodeUnknown},
		{"a.mp3", "audio/mpeg", join(bytes.Repeat([]byte{1}, 700), makeMP3()), CodeUnknown},
		{"a.txt", textType, join("\xff\xfe", noise(9000)), CodeUnknown},
		{"a.txt", textType, join("\xff\xfe", strings.Repeat("a\x00\x00\xdc", 50)), CodeUnknown},
		{"a.txt", textType, join("\xfe\xff", strings.Repeat("\xd8\x00\x00a", 50)), CodeUnknown},
		{"a.txt", textType, []byte("a\x00b"), CodeUnknown},
		// not in the charset that is stated
		{"a.txt", "text/plain; charset=utf-8", []byte("M\xfcller"), CodeCharset},
		{"a.txt", "text/plain; charset=us-ascii", []byte("M\xc3\xbcller"), CodeCharset},
		{"a.txt", "text/plain; charset=windows-1252", []byte("M\xfcller \x81"), CodeCharset},
		{"a.txt", "text/plain; charset=utf-16", []byte("plain"), CodeUnknown},
		{"a.txt", "text/plain; charset=kanarienvogel", []byte("plain"), CodeCharset},
		{"a.txt", "text/plain; charset=iso-8859-1", utf16("plain"), CodeCharset},
		// behind the bounds
		{"a.docx", docxType, makeOffice("word/document.xml", numbered("word/media/", 14_000)...), CodeBeyond},
		{"a.doc", docType, makeOLEIn(0, 12, nil, append([]string{"WordDocument"}, numbered("a", 3000)...)...), CodeBeyond},
		{"cod\u202efdp.exe", "", pdf, CodeNameDeceptive},
	}
	return append(list, hostileFromModules(t)...)
}

// hideEntries makes the end record tell of all entries but the first, or of a
// place before them.
func hideEntries(b []byte, first bool) []byte {
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	size, at := binary.LittleEndian.Uint32(b[end+12:]), binary.LittleEndian.Uint32(b[end+16:])
	if !first {
		binary.LittleEndian.PutUint32(b[end+16:], at-100)
		return b
	}
	n, _ := entryLength(b[at:])
	binary.LittleEndian.PutUint32(b[end+12:], size-uint32(n))
	binary.LittleEndian.PutUint32(b[end+16:], at+uint32(n))
	return b
}

func makeZipEpub() []byte {
	b := makeODF("text")
	return bytes.Replace(b, []byte("application/vnd.oasis.opendocument.text"), []byte("application/epub+zip<!-- a comment --->"), 1)
}

// hostileFromModules reads programs and archives that others made.
func hostileFromModules(t testing.TB) (list []hostile) {
	src := filepath.Join(goroot(t), "src")
	for pattern, code := range map[string]string{
		"debug/elf/testdata/*-exec":             CodeExecutable,
		"debug/elf/testdata/*.obj":              CodeExecutable,
		"debug/pe/testdata/*-exec":              CodeExecutable,
		"debug/pe/testdata/vmlinuz*":            CodeExecutable,
		"debug/pe/testdata/*-obj":               CodeUnknown,
		"debug/macho/testdata/*-exec.base64":    CodeExecutable,
		"debug/plan9obj/testdata/*-exec":        CodeUnknown,
		"archive/zip/testdata/*win*.zip":        CodeArchive,
		"archive/zip/testdata/zip64*.zip":       CodeArchive,
		"archive/zip/testdata/test.zip":         CodeArchive,
		"archive/zip/testdata/test-prefix.zip":  CodeUnknown,
		"archive/zip/testdata/*-trailing-*.zip": CodeArchive,
		"archive/tar/testdata/gnu*.tar":         CodeArchive,
		"archive/tar/testdata/pax.tar":          CodeArchive,
		"compress/bzip2/testdata/*.txt.bz2":     CodeArchive,
	} {
		for _, f := range glob(t, src, pattern) {
			list = append(list, hostile{"a.bin", "", read(t, f), code})
		}
	}
	library := filepath.Join(moduleDir(t, "github.com/gabriel-vasile/mimetype"), "testdata")
	for name, code := range map[string]string{
		"jar.jar": CodeArchive, "jar_in_zip.zip": CodeArchive, "tar.tar": CodeArchive, "msi.msi": CodeInstaller,
		"app-metadata.apk": CodeInstaller, "zipflinger.apk": CodeInstaller,
		"pptx.pptx": CodeTruncated, // the first 4 KB of one
	} {
		list = append(list, hostile{"a.bin", "", read(t, library, name), code})
	}
	return list
}

func TestHostileFilesStay(t *testing.T) {
	codes := map[string]bool{}
	for i, h := range hostiles(t) {
		got, err := judge(Policy{}, h.name, h.declared, h.data)
		if codeOf(err) != h.want || got != "" {
			t.Errorf("%d %s declared %q, % x: %q, %v; want %s", i, h.name, h.declared, h.data[:min(8, len(h.data))], got, err, h.want)
		}
		codes[codeOf(err)] = true
	}
	for code := range texts {
		if !codes[code] && code != CodeNotRead {
			t.Errorf("no file ends in %s", code)
		}
	}
}

// TestEndRecordByChance: four letters, and even a record, are no archive when
// its numbers do not agree.
func TestEndRecordByChance(t *testing.T) {
	pdf, zips := makePDF(3000, ""), makeZip("a.txt")
	end := bytes.LastIndex(zips, []byte("PK\x05\x06"))
	broken := func(at int, value uint32) []byte {
		b := bytes.Clone(zips)
		binary.LittleEndian.PutUint32(b[end+at:], value)
		return b
	}
	for name, tail := range map[string][]byte{
		"signature": []byte("PK\x05\x06"), "zeros": join("PK\x05\x06", make([]byte, 18)), "noise": join("PK\x05\x06", noise(40)),
		"size": broken(12, 9), "offset": broken(16, 1<<30), "counts": broken(8, 7), "no entries": zips[end:],
		"comment": broken(18, 0xFFFF0000), "entry": bytes.Replace(zips, []byte("PK\x01\x02"), []byte("PK\x01\x09"), 1),
	} {
		if got, err := judge(Policy{}, "a.pdf", pdfType, join(pdf, tail)); err != nil || got != pdfType {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package guard

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// programNames are endings that Windows, macOS or Linux start as programs, and
// those of documents with macros.
var programNames = endings(CodeExecutable, "exe dll scr pif cpl sys ocx drv msc lnk jar class apk app elf so dylib wasm hta chm scf gadget")

// packageNames are endings of installers.
var packageNames = endings(CodeInstaller, "msi msp msix appx deb rpm pkg")

// macroNames are endings of documents that may run macros.
var macroNames = endings(CodeMacros, "docm dotm xlsm xltm xlam pptm potm ppsm ppam")

// scriptNames are endings of scripts. They count for texts alone, where no
// signature says better.
var scriptNames = endings(CodeScript, "bat cmd btm ps1 psm1 psd1 ps1xml vbs vbe vb js jse mjs cjs ts wsf wsh ws wsc sct sh bash zsh ksh csh fish command py pyw pl rb php php5 phtml lua tcl awk reg inf url desktop applescript scpt asp aspx jsp cgi au3 ahk")

// archiveNames are endings of archives. They count for bytes of unknown type,
// of which some are signed behind the head (ISO 9660 at byte 32,769).
var archiveNames = endings(CodeArchive, "zip gz tgz bz2 tbz xz txz zst 7z rar tar cab arj lzh lha ace iso img udf vhd vhdx vmdk dmg z lz lz4 lzma br")

func endings(code, list string) map[string]string {
	m := map[string]string{}
	for _, e := range strings.Fields(list) {
		m[e] = code
	}
	return m
}

// ending gives the part of a name behind its last dot, as the receiving
// system's file names would have it: those drop dots and blanks at the end.
func ending(name string) string {
	name = strings.TrimRight(name, " .\t\r\n\u00a0")
	i := strings.LastIndexByte(name, '.')
	if i < 0 || len(name)-i > 16 {
		return ""
	}
	return strings.ToLower(name[i+1:])
}

// judgeNames refuses what hides its real ending, in titles too.
func judgeNames(f File) error {
	hides := func(name string) bool { return strings.ContainsAny(name, "\u202e\u202d\x00") }
	if hides(f.Key) || slices.ContainsFunc(f.Titles, hides) {
		return refuse(CodeNameDeceptive, "")
	}
	for _, title := range f.Titles {
		if code := secondEnding(title); code != "" {
			return refuse(code, "")
		}
	}
	return nil
}

// words are endings of programs that also end titles and names of people.
var words = map[string]bool{"so": true, "app": true, "class": true, "elf": true, "msc": true, "sys": true, "pkg": true, "rpm": true, "msi": true}

// secondEnding gives the code of a title that has a document's ending, such as
// .pdf, and behind it that of a program: no person is called so. Endings that
// are also words and names (so, app, class) do not count.
func secondEnding(title string) string {
	e := ending(title)
	code := cmp.Or(programNames[e], packageNames[e], macroNames[e])
	if code == "" || words[e] {
		return ""
	}
	stem := strings.ToLower(title)
	stem = stem[:strings.LastIndex(stem, "."+e)]
	for _, part := range strings.Split(stem, ".")[1:] {
		n := strings.IndexFunc(part, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(part)
		}
		if documentEndings[part[:n]] {
			return code
		}
	}
	return ""
}

// documentEndings are those of types that leave.
var documentEndings = func() map[string]bool {
	m := map[string]bool{}
	for _, t := range filetype.Table() {
		for _, e := range t.Endings {
			m[e] = m[e] || t.Rule == filetype.Leaves
		}
	}
	return m
}()

// judgeKey judges the ending of the object's key. What the bytes are counts for
// more: a key with blanks in it is a title, and its end no ending, where the
// bytes have a signature of their own or the ending is also a word. Titles have none
// (secondEnding is the exception).
func judgeKey(key, detected string) error {
	base := path.Base(key)
	e := ending(base)
	open := detected == unknownType || isText(detected)
	tables := []map[string]string{programNames, packageNames, macroNames}
	blank := strings.ContainsAny(strings.TrimRight(base, " .\t\r\n\u00a0"), " \u00a0")
	switch {
	case blank && (!open || words[e]):
		return nil
	case detected == unknownType:
		tables = append(tables, archiveNames, scriptNames)
	case open:
		tables = append(tables, scriptNames)
	}
	for _, table := range tables {
		if code := table[e]; code != "" {
			return refuse(code, "")
		}
	}
	return nil
}

package guard

import (
	"strings"
)

// programNames are endings that Windows, macOS or Linux start as programs, and
// those of documents with macros. No bytes make such a name welcome.
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

func judgeNames(list []string) error {
	for _, name := range list {
		if strings.ContainsAny(name, "\u202e\u202d\x00") {
			return refuse(CodeNameDeceptive, "")
		}
		e := ending(name)
		for _, table := range []map[string]string{programNames, packageNames, macroNames} {
			if code := table[e]; code != "" {
				return refuse(code, "")
			}
		}
	}
	return nil
}

func judgeTextNames(list []string) error {
	for _, name := range list {
		if code := scriptNames[ending(name)]; code != "" {
			return refuse(code, "")
		}
	}
	return nil
}

func unknownByName(list []string) string {
	for _, name := range list {
		for _, table := range []map[string]string{archiveNames, scriptNames} {
			if code := table[ending(name)]; code != "" {
				return code
			}
		}
	}
	return ""
}

package guard

import "strings"

// charsets are names of character sets that texts come in, in lower case: those
// of IANA's registry, and the labels that browsers take for them (WHATWG
// Encoding). The value is how its bytes are checked.
var charsets = func() map[string]coding {
	m := map[string]coding{"utf-8": isUTF8, "utf8": isUTF8, "unicode-1-1-utf-8": isUTF8, "us-ascii": isASCII, "ascii": isASCII, "ansi_x3.4-1968": isASCII,
		"utf-16": isUTF16, "utf-16le": isUTF16LE, "utf-16be": isUTF16BE}
	for _, name := range strings.Fields(`iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-8-i iso-8859-9
		iso-8859-10 iso-8859-11 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 iso8859-1 iso8859-2 iso8859-15 iso_8859-1 iso_8859-15 latin1 latin2 latin9 l1
		windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 windows-874 windows-31j
		cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 x-cp1252
		ibm437 ibm850 ibm852 ibm858 ibm00858 ibm866 cp437 cp850 cp852 cp858 cp866 437 850 852 macintosh x-mac-roman koi8-r koi8-u tis-620
		shift_jis sjis x-sjis euc-jp iso-2022-jp iso-2022-kr gb2312 gbk gb18030 big5 big5-hkscs euc-kr ks_c_5601-1987 hz-gb-2312`) {
		m[name] = isBytes
	}
	return m
}()

type coding int

const (
	// isBytes: a set of which a byte above 0x7F can be anything.
	isBytes coding = iota + 1
	isASCII
	isUTF8
	isUTF16
	isUTF16LE
	isUTF16BE
)

// undefined are the bytes that Windows-1252 leaves out.
const undefined1252 = "\x81\x8d\x8f\x90\x9d"

func is1252(charset string) bool {
	return charset == "windows-1252" || charset == "cp1252" || charset == "x-cp1252"
}

package filetype

// The names that rules speak of.
const (
	PDF     = "application/pdf"
	RTF     = "text/rtf"
	DOC     = "application/msword"
	XLS     = "application/vnd.ms-excel"
	PPT     = "application/vnd.ms-powerpoint"
	DOCX    = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	XLSX    = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	PPTX    = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	XLSB    = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
	ODT     = "application/vnd.oasis.opendocument.text"
	ODS     = "application/vnd.oasis.opendocument.spreadsheet"
	ODP     = "application/vnd.oasis.opendocument.presentation"
	JPEG    = "image/jpeg"
	PNG     = "image/png"
	GIF     = "image/gif"
	TIFF    = "image/tiff"
	BMP     = "image/bmp"
	WebP    = "image/webp"
	HEIC    = "image/heic"
	JP2     = "image/jp2"
	DICOM   = "application/dicom"
	Text    = "text/plain"
	CSV     = "text/csv"
	TSV     = "text/tab-separated-values"
	XML     = "text/xml"
	JSON    = "application/json"
	NDJSON  = "application/x-ndjson"
	HL7     = "application/hl7-v2"
	VCard   = "text/vcard"
	ICal    = "text/calendar"
	HTML    = "text/html"
	SVG     = "image/svg+xml"
	Mail    = "message/rfc822"
	Mbox    = "application/mbox"
	Outlook = "application/vnd.ms-outlook"
	PS      = "application/postscript"
	EPUB    = "application/epub+zip"
	MP3     = "audio/mpeg"
	WAV     = "audio/wav"
	M4A     = "audio/mp4"
	MP4     = "video/mp4"
	MOV     = "video/quicktime"
	MPEG    = "video/mpeg"
	OLE     = "application/x-ole-storage"
	Zip     = "application/zip"
	Script  = "text/x-shellscript"
	Program = "application/vnd.microsoft.portable-executable"
	ELF     = "application/x-elf"
	MachO   = "application/x-mach-binary"
	Java    = "application/x-java-applet"
	MSI     = "application/x-ms-installer"
)

// The codes of types that never leave.
const (
	Executable = "file_executable"
	IsScript   = "file_script"
	Archive    = "file_archive"
	Installer  = "file_installer"
)

const office = "application/vnd.openxmlformats-officedocument."

// table is in the order in which signatures are tried.
var table = concat(documents, images, texts, recordings, others, dangers)

func concat(lists ...[]Type) (all []Type) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var documents = []Type{
	{Name: PDF, Aliases: []string{"application/x-pdf", "application/acrobat", "applications/vnd.pdf", "text/pdf", "text/x-pdf", "application/vnd.pdf"},
		Endings: []string{"pdf"}, FileType: "PDF"},
	{Name: RTF, Also: []string{"application/rtf"}, Aliases: []string{"application/x-rtf", "text/richtext"}, Endings: []string{"rtf"}, FileType: "RTF", Text: true},
	{Name: DOC, Aliases: []string{"application/vnd.ms-word", "application/doc", "application/x-msword"}, Endings: []string{"doc", "dot"}, FileType: "DOC"},
	{Name: XLS, Aliases: []string{"application/msexcel", "application/x-msexcel", "application/x-excel", "application/excel", "application/xls"}, Endings: []string{"xls", "xlt"}, FileType: "XLS"},
	{Name: PPT, Aliases: []string{"application/mspowerpoint", "application/powerpoint", "application/x-mspowerpoint"}, Endings: []string{"ppt", "pps", "pot"}, FileType: "PPT"},
	{Name: DOCX, Also: []string{office + "wordprocessingml.template"}, Endings: []string{"docx", "dotx"}, FileType: "DOCX"},
	{Name: XLSX, Also: []string{office + "spreadsheetml.template"}, Endings: []string{"xlsx", "xltx"}, FileType: "XLSX"},
	{Name: PPTX, Also: []string{office + "presentationml.slideshow", office + "presentationml.template"}, Endings: []string{"pptx", "ppsx", "potx"}, FileType: "PPTX"},
	{Name: ODT, Also: []string{ODT + "-template"}, Endings: []string{"odt", "ott"}, FileType: "ODT"},
	{Name: ODS, Also: []string{ODS + "-template"}, Endings: []string{"ods", "ots"}, FileType: "ODS"},
	{Name: ODP, Also: []string{ODP + "-template"}, Endings: []string{"odp", "otp"}, FileType: "ODP"},
}

var images = []Type{
	{Name: JPEG, Aliases: []string{"image/jpg", "image/pjpeg", "image/x-jpeg", "image/x-citrix-jpeg", "image/jfif"},
		Signatures: []Signature{{Is: "\xff\xd8\xff"}}, Endings: []string{"jpg", "jpeg", "jpe", "jfif"}, FileType: "JPG"},
	{Name: PNG, Also: []string{"image/apng"}, Aliases: []string{"image/x-png", "image/vnd.mozilla.apng", "image/x-citrix-png"},
		Signatures: []Signature{{Is: "\x89PNG\r\n\x1a\n"}}, Endings: []string{"png"}, FileType: "PNG"},
	{Name: GIF, Aliases: []string{"image/x-gif"}, Signatures: []Signature{{Is: "GIF87a"}, {Is: "GIF89a"}}, Endings: []string{"gif"}, FileType: "GIF"},
	{Name: TIFF, Also: []string{"image/tiff-fx"}, Aliases: []string{"image/tif", "image/x-tiff", "image/x-tif", "image/bigtiff", "application/tiff"},
		Endings: []string{"tif", "tiff"}, FileType: "TIFF"},
	{Name: BMP, Aliases: []string{"image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp", "image/ms-bmp"}, Endings: []string{"bmp", "dib"}, FileType: "BMP"},
	{Name: WebP, Aliases: []string{"image/x-webp"}, Signatures: []Signature{{Is: "RIFF", AndAt: 8, And: "WEBP"}}, Endings: []string{"webp"}, FileType: "WEBP"},
	{Name: HEIC, Also: []string{"image/heif", "image/heic-sequence", "image/heif-sequence"}, Endings: []string{"heic", "heif"}, FileType: "HEIC"},
	{Name: JP2, Also: []string{"image/jpx"}, Aliases: []string{"image/jpeg2000", "image/x-jp2", "image/jpeg2000-image", "image/x-jpeg2000-image"},
		Signatures: []Signature{{Is: "\x00\x00\x00\x0cjP  \r\n\x87\n"}}, Endings: []string{"jp2", "jpx", "jpf"}, FileType: "JP2"},
	{Name: DICOM, Also: []string{"image/dicom-rle"}, Aliases: []string{"application/x-dicom", "image/dicom", "image/x-dicom", "application/dcm"},
		Endings: []string{"dcm", "dicom"}, FileType: "DCM"},
}

var texts = []Type{
	{Name: Text, Also: []string{"text/enriched"}, Aliases: []string{"text/x-log", "text/ascii", "text/x-plain", "text/txt"}, Endings: []string{"txt", "text", "log", "asc"}, FileType: "TXT", Text: true, Loose: true},
	{Name: CSV, Aliases: []string{"application/csv", "text/x-csv", "text/comma-separated-values", "application/x-csv"}, Endings: []string{"csv"}, FileType: "CSV", Text: true, Loose: true},
	{Name: TSV, Aliases: []string{"text/tsv", "text/x-tab-separated-values"}, Endings: []string{"tsv", "tab"}, FileType: "TSV", Text: true, Loose: true},
	{Name: XML, Also: []string{"application/xml", "text/xml-external-parsed-entity", "application/cda+xml", "application/fhir+xml", "text/x-cda-r2+xml", "application/hl7-cda+xml"},
		Aliases: []string{"application/x-xml", "text/x-xml", "application/x-cda", "application/hl7-cda"}, Endings: []string{"xml", "cda", "xsd"}, FileType: "XML", Text: true},
	{Name: JSON, Also: []string{"application/fhir+json", "application/geo+json"}, Aliases: []string{"text/json", "application/x-json", "text/x-json"}, Endings: []string{"json"}, FileType: "JSON", Text: true},
	{Name: NDJSON, Aliases: []string{"application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines"}, Endings: []string{"ndjson", "jsonl"}, FileType: "NDJSON", Text: true, Loose: true},
	{Name: HL7, Also: []string{"text/hl7v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7", "application/edi-hl7"},
		Aliases: []string{"application/hl7v2", "application/edi-hl7v2", "application/x-hl7", "text/hl7", "text/hl7-v2", "text/x-hl7", "text/x-hl7-ft"}, Endings: []string{"hl7", "er7"}, FileType: "HL7", Text: true},
	{Name: VCard, Aliases: []string{"text/x-vcard", "text/directory"}, Endings: []string{"vcf", "vcard"}, FileType: "VCF", Text: true},
	{Name: ICal, Aliases: []string{"text/x-vcalendar", "application/ics"}, Endings: []string{"ics", "ical"}, FileType: "ICS", Text: true},
	{Name: "text/markdown", Aliases: []string{"text/x-markdown"}, Endings: []string{"md"}, FileType: "MD", Text: true, Loose: true},
}

var recordings = []Type{
	{Name: MP3, Aliases: []string{"audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3"}, Endings: []string{"mp3"}, FileType: "MP3"},
	// The registry has audio/vnd.wave alone (RFC 2361), which few readers know.
	{Name: WAV, Also: []string{"audio/vnd.wave"}, Aliases: []string{"audio/x-wav", "audio/wave", "audio/x-pn-wav"}, Signatures: []Signature{{Is: "RIFF", AndAt: 8, And: "WAVE"}}, Endings: []string{"wav"}, FileType: "WAV"},
	{Name: M4A, Aliases: []string{"audio/x-m4a", "audio/m4a"}, Endings: []string{"m4a"}, FileType: "M4A"},
	{Name: MP4, Also: []string{"application/mp4"}, Aliases: []string{"video/x-m4v"}, Endings: []string{"mp4", "m4v"}, FileType: "MP4"},
	{Name: MOV, Endings: []string{"mov", "qt"}, FileType: "MOV"},
	{Name: MPEG, Aliases: []string{"video/mpg", "video/x-mpeg"}, Endings: []string{"mpg", "mpeg"}, FileType: "MPEG"},
}

const (
	carriesUnseen = "it carries files of any kind unseen"
	runsScripts   = "it runs scripts where it is shown"
)

// others leave only where the settings allow them.
var others = []Type{
	{Name: HTML, Also: []string{"application/xhtml+xml"}, Endings: []string{"html", "htm", "xhtml"}, FileType: "HTML", Rule: Optional, Why: runsScripts, Text: true},
	{Name: SVG, Aliases: []string{"image/svg", "image/svg-xml"}, Endings: []string{"svg"}, FileType: "SVG", Rule: Optional, Why: runsScripts, Text: true},
	{Name: Mail, Endings: []string{"eml", "mht", "mhtml"}, FileType: "EML", Rule: Optional, Why: carriesUnseen, Text: true},
	{Name: Mbox, Endings: []string{"mbox"}, FileType: "MBOX", Rule: Optional, Why: carriesUnseen, Text: true},
	{Name: Outlook, Aliases: []string{"application/x-msg"}, Endings: []string{"msg"}, FileType: "MSG", Rule: Optional, Why: carriesUnseen},
	{Name: PS, Aliases: []string{"application/eps", "image/x-eps", "image/eps", "application/x-eps"}, Signatures: []Signature{{Is: "%!PS"}, {Is: "\xc5\xd0\xd3\xc6"}}, Endings: []string{"ps", "eps"}, FileType: "PS", Rule: Optional, Why: "it is a program"},
	{Name: XLSB, Endings: []string{"xlsb"}, FileType: "XLSB", Rule: Optional, Why: "few readers open it"},
	{Name: EPUB, Endings: []string{"epub"}, FileType: "EPUB", Rule: Optional, Why: runsScripts},
	{Name: OLE, Aliases: []string{"application/x-cfb", "application/x-ole", "application/cdfv2"}, Signatures: []Signature{{Is: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}}, FileType: "OLE", Rule: Optional, Why: "what it holds is not known"},
}

var dangers = []Type{
	{Name: Program, Aliases: []string{"application/x-msdownload", "application/x-dosexec", "application/x-msdos-program", "application/exe", "application/x-exe", "application/dos-exe"},
		Endings: []string{"exe", "dll", "scr", "sys"}, Rule: Never, Code: Executable},
	{Name: ELF, Also: []string{"application/x-object", "application/x-executable", "application/x-sharedlib", "application/x-coredump", "application/x-pie-executable"},
		Signatures: []Signature{{Is: "\x7fELF"}}, Endings: []string{"elf", "so"}, Rule: Never, Code: Executable},
	{Name: MachO, Endings: []string{"dylib"}, Rule: Never, Code: Executable},
	{Name: Java, Aliases: []string{"application/java-vm", "application/x-java-class", "application/java"}, Signatures: []Signature{{Is: "\xca\xfe\xba\xbe"}, {Is: "\xca\xfe\xd0\x0d"}, {Is: "dex\n03"}, {Is: "dex\n04"}}, Endings: []string{"class", "dex"}, Rule: Never, Code: Executable},
	{Name: "application/wasm", Signatures: []Signature{{Is: "\x00asm"}}, Endings: []string{"wasm"}, Rule: Never, Code: Executable},
	{Name: "application/x-bytecode.python", Rule: Never, Code: Executable},
	{Name: "application/x-ms-shortcut", Signatures: []Signature{{Is: "L\x00\x00\x00\x01\x14\x02\x00"}}, Endings: []string{"lnk"}, Rule: Never, Code: Executable},
	{Name: "application/x-shockwave-flash", Aliases: []string{"application/vnd.adobe.flash.movie"}, Endings: []string{"swf"}, Rule: Never, Code: Executable},
	{Name: "application/vnd.ms-htmlhelp", Signatures: []Signature{{Is: "ITSF\x03\x00\x00\x00"}}, Endings: []string{"chm"}, Rule: Never, Code: Executable},
	{Name: "application/x-os2-hlp", Rule: Never, Code: Executable},
	{Name: "application/x-os2-inf", Rule: Never, Code: Executable},

	{Name: Script, Aliases: []string{"application/x-sh", "text/x-sh", "application/x-csh", "application/x-bat", "application/bat", "application/x-powershell", "text/x-powershell", "text/vbscript", "text/vbs", "application/x-vbs", "application/hta"},
		Endings: []string{"sh", "bat", "ps1", "vbs"}, Rule: Never, Code: IsScript, Text: true},
	{Name: "text/javascript", Aliases: []string{"application/javascript", "application/x-javascript", "application/ecmascript", "text/ecmascript", "text/jscript"}, Endings: []string{"js"}, Rule: Never, Code: IsScript},
	{Name: "text/x-php", Aliases: []string{"application/x-php", "application/x-httpd-php", "application/php"}, Endings: []string{"php"}, Rule: Never, Code: IsScript},
	{Name: "text/x-lua", Rule: Never, Code: IsScript},
	{Name: "text/x-perl", Rule: Never, Code: IsScript},
	{Name: "text/x-python", Rule: Never, Code: IsScript},
	{Name: "text/x-ruby", Rule: Never, Code: IsScript},
	{Name: "text/x-tcl", Rule: Never, Code: IsScript},

	{Name: Zip, Aliases: []string{"application/x-zip", "application/x-zip-compressed", "application/x-compressed", "multipart/x-zip"}, Signatures: []Signature{{Is: "PK\x03\x04"}, {Is: "PK\x05\x06\x00\x00\x00\x00"}, {Is: "PK\x07\x08PK\x03\x04"}}, Endings: []string{"zip"}, Rule: Never, Code: Archive},
	{Name: "application/gzip", Signatures: []Signature{{Is: "\x1f\x8b\x08"}}, Endings: []string{"gz", "tgz"}, Rule: Never, Code: Archive},
	{Name: "application/x-bzip2", Endings: []string{"bz2"}, Rule: Never, Code: Archive},
	{Name: "application/x-xz", Signatures: []Signature{{Is: "\xfd7zXZ\x00"}}, Endings: []string{"xz"}, Rule: Never, Code: Archive},
	{Name: "application/zstd", Endings: []string{"zst"}, Rule: Never, Code: Archive},
	{Name: "application/x-7z-compressed", Signatures: []Signature{{Is: "7z\xbc\xaf\x27\x1c"}}, Endings: []string{"7z"}, Rule: Never, Code: Archive},
	{Name: "application/vnd.rar", Aliases: []string{"application/x-rar-compressed", "application/x-rar"}, Signatures: []Signature{{Is: "Rar!\x1a\x07"}}, Endings: []string{"rar"}, Rule: Never, Code: Archive},
	{Name: "application/x-tar", Endings: []string{"tar"}, Rule: Never, Code: Archive},
	{Name: "application/vnd.ms-cab-compressed", Signatures: []Signature{{Is: "MSCF\x00\x00\x00\x00"}}, Endings: []string{"cab"}, Rule: Never, Code: Archive},
	{Name: "application/java-archive", Endings: []string{"jar"}, Rule: Never, Code: Archive},
	{Name: "application/lzip", Rule: Never, Code: Archive},
	{Name: "application/x-lzma", Rule: Never, Code: Archive},
	{Name: "application/x-compress", Signatures: []Signature{{Is: "\x1f\x9d"}}, Endings: []string{"z"}, Rule: Never, Code: Archive},
	{Name: "application/x-lzh-compressed", Signatures: []Signature{{At: 2, Is: "-lh", AndAt: 6, And: "-"}}, Endings: []string{"lzh"}, Rule: Never, Code: Archive},
	{Name: "application/x-arj", Signatures: []Signature{{Is: "\x60\xea"}}, Endings: []string{"arj"}, Rule: Never, Code: Archive},
	{Name: "application/x-lz4", Signatures: []Signature{{Is: "\x04\x22\x4d\x18"}}, Endings: []string{"lz4"}, Rule: Never, Code: Archive},
	{Name: "application/x-cpio", Signatures: []Signature{{Is: "070701"}, {Is: "070702"}, {Is: "070707"}}, Endings: []string{"cpio"}, Rule: Never, Code: Archive},
	{Name: "application/x-archive", Endings: []string{"ar"}, Rule: Never, Code: Archive},
	{Name: "application/zlib", Rule: Never, Code: Archive},
	{Name: "application/vnd.ms-tnef", Signatures: []Signature{{Is: "\x78\x9f\x3e\x22"}}, Endings: []string{"tnef"}, Rule: Never, Code: Archive},
	{Name: "application/vnd.google-earth.kmz", Rule: Never, Code: Archive},
	{Name: "application/warc", Rule: Never, Code: Archive},
	{Name: "application/x-iso9660-image", Endings: []string{"iso"}, Rule: Never, Code: Archive},

	{Name: MSI, Endings: []string{"msi"}, Rule: Never, Code: Installer},
	{Name: "application/vnd.android.package-archive", Endings: []string{"apk"}, Rule: Never, Code: Installer},
	{Name: "application/vnd.debian.binary-package", Endings: []string{"deb"}, Rule: Never, Code: Installer},
	{Name: "application/x-rpm", Signatures: []Signature{{Is: "\xed\xab\xee\xdb"}}, Endings: []string{"rpm"}, Rule: Never, Code: Installer},
	{Name: "application/x-chrome-extension", Rule: Never, Code: Installer},
	{Name: "application/x-xar", Rule: Never, Code: Installer},
	{Name: "application/x-installshield", Rule: Never, Code: Installer},
}

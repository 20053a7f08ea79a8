package guard

import (
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const (
	unknownType = "application/octet-stream"
	pdfType     = "application/pdf"
	tiffType    = "image/tiff"
	dicomType   = "application/dicom"
	zipType     = "application/zip"
	oleType     = "application/x-ole-storage"
	docType     = "application/msword"
	xlsType     = "application/vnd.ms-excel"
	pptType     = "application/vnd.ms-powerpoint"
	docxType    = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xlsxType    = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	pptxType    = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	xlsbType    = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
	textType    = "text/plain"
	rtfType     = "text/rtf"
	xmlType     = "text/xml"
	jsonType    = "application/json"
	ndjsonType  = "application/x-ndjson"
	hl7Type     = "application/hl7-v2"
	htmlType    = "text/html"
	svgType     = "image/svg+xml"
	mailType    = "message/rfc822"
	scriptType  = "text/x-shellscript"
	programType = "application/vnd.microsoft.portable-executable"
)

// families lists the names of one and the same type, the one that is used for
// detected bytes first. The library knows further names.
var families = [][]string{
	{pdfType, "application/x-pdf", "application/acrobat", "applications/vnd.pdf", "text/pdf", "text/x-pdf", "application/vnd.pdf"},
	{rtfType, "application/rtf", "application/x-rtf", "text/richtext"},
	{docType, "application/vnd.ms-word", "application/doc", "application/x-msword"},
	{xlsType, "application/msexcel", "application/x-msexcel", "application/x-excel", "application/excel", "application/xls"},
	{pptType, "application/mspowerpoint", "application/powerpoint", "application/x-mspowerpoint"},
	{docxType, "application/vnd.openxmlformats-officedocument.wordprocessingml.template"},
	{xlsxType, "application/vnd.openxmlformats-officedocument.spreadsheetml.template"},
	{pptxType, "application/vnd.openxmlformats-officedocument.presentationml.slideshow", "application/vnd.openxmlformats-officedocument.presentationml.template"},
	{"image/jpeg", "image/jpg", "image/pjpeg", "image/x-jpeg", "image/x-citrix-jpeg"},
	{"image/png", "image/x-png", "image/apng", "image/vnd.mozilla.apng", "image/x-citrix-png"},
	{tiffType, "image/tif", "image/x-tiff", "image/x-tif", "image/bigtiff", "application/tiff", "image/tiff-fx"},
	{"image/bmp", "image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp"},
	{"image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"},
	{"image/jp2", "image/jpx", "image/jpeg2000", "image/x-jp2"},
	{dicomType, "application/x-dicom", "image/dicom", "image/dicom-rle", "image/x-dicom", "application/dcm"},
	{textType, "text/x-log", "text/ascii", "text/enriched"},
	{xmlType, "application/xml", "text/x-cda-r2+xml", "application/cda+xml", "application/x-cda", "application/hl7-cda", "application/hl7-cda+xml", "application/fhir+xml", "text/xml-external-parsed-entity"},
	{jsonType, "text/json", "application/x-json", "text/x-json", "application/geo+json", "application/fhir+json"},
	{ndjsonType, "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines"},
	{hl7Type, "application/hl7v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7", "application/edi-hl7", "application/edi-hl7v2", "application/x-hl7", "text/hl7", "text/hl7v2", "text/hl7-v2", "text/x-hl7", "text/x-hl7-ft"},
	{"text/csv", "application/csv", "text/x-csv", "text/comma-separated-values"},
	{"text/vcard", "text/x-vcard"},
	{htmlType, "application/xhtml+xml"},
	{svgType, "image/svg", "image/svg-xml"},
	{"audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3"},
	{"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav"},
	{"audio/x-m4a", "audio/m4a"},
	{"video/mp4", "application/mp4", "video/x-m4v"},
	{"video/mpeg", "video/mpg", "video/x-mpeg"},
	{scriptType, "application/x-sh", "text/x-sh", "application/x-csh", "application/x-bat", "application/bat", "application/x-powershell", "text/x-powershell", "text/vbscript", "text/vbs", "application/x-vbs", "application/hta"},
	{"text/javascript", "application/javascript", "application/x-javascript", "application/ecmascript", "text/ecmascript", "text/jscript"},
	{"text/x-php", "application/x-php", "application/x-httpd-php", "application/php"},
	{programType, "application/x-msdownload", "application/x-dosexec", "application/x-msdos-program", "application/exe", "application/x-exe", "application/dos-exe"},
	{zipType, "application/x-zip", "application/x-zip-compressed", "application/x-compressed", "multipart/x-zip"},
	{oleType, "application/x-cfb", "application/x-ole", "application/cdfv2"},
	{"application/x-iso9660-image"},
	{xlsbType},
}

// names gives the family of a name.
var names = func() map[string]string {
	m := map[string]string{}
	for _, f := range families {
		for _, name := range f {
			m[name] = f[0]
		}
	}
	return m
}()

// dangers give the types that never leave, with the code for each.
var dangers = func() map[string]string {
	m := map[string]string{}
	for code, list := range map[string][]string{
		CodeExecutable: {programType, "application/x-elf", "application/x-object", "application/x-executable", "application/x-sharedlib", "application/x-coredump",
			"application/x-mach-binary", "application/x-java-applet", "application/wasm", "application/x-bytecode.python", "application/x-ms-shortcut",
			"application/x-shockwave-flash", "application/vnd.ms-htmlhelp", "application/x-os2-hlp", "application/x-os2-inf"},
		CodeScript: {scriptType, "text/x-php", "text/javascript", "text/x-lua", "text/x-perl", "text/x-python", "text/x-ruby", "text/x-tcl"},
		CodeArchive: {zipType, "application/gzip", "application/x-bzip2", "application/x-xz", "application/zstd", "application/x-7z-compressed", "application/vnd.rar",
			"application/x-tar", "application/vnd.ms-cab-compressed", "application/java-archive", "application/lzip", "application/x-cpio", "application/x-archive",
			"application/zlib", "application/vnd.google-earth.kmz", "application/warc", "application/x-iso9660-image"},
		CodeInstaller: {"application/x-ms-installer", "application/vnd.android.package-archive", "application/vnd.debian.binary-package", "application/x-rpm",
			"application/x-chrome-extension", "application/x-xar", "application/x-installshield"},
	} {
		for _, t := range list {
			m[t] = code
		}
	}
	m[polyglotType] = CodePolyglot
	return m
}()

func dangerOf(t string) string { return dangers[t] }

// nothings are types that say nothing of a file: what stores, browsers and
// gateways answer when nobody told them one.
var nothings = map[string]bool{
	"": true, unknownType: true, "binary/octet-stream": true, "application/binary": true, "application/unknown": true, "unknown/unknown": true,
	"application/x-unknown": true, "application/download": true, "application/x-download": true, "application/force-download": true,
	"application/x-www-form-urlencoded": true, "multipart/form-data": true, "*/*": true,
}

// texty are detected types that are text.
var texty = map[string]bool{
	textType: true, rtfType: true, xmlType: true, jsonType: true, ndjsonType: true, hl7Type: true, htmlType: true, svgType: true, mailType: true,
	"text/csv": true, "text/tab-separated-values": true, "text/vcard": true, "text/calendar": true,
}

// byHabit are texts that are told from plain text by their look alone.
var byHabit = map[string]bool{
	"text/csv": true, "text/tab-separated-values": true, "text/vcard": true, "text/calendar": true, ndjsonType: true,
}

func isText(t string) bool { return texty[t] }

// bare gives a MIME type in lower case without its parameters.
func bare(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// canonical gives the one name of a type that has many.
func canonical(t string) string {
	if name, ok := names[t]; ok {
		return name
	}
	if t == "" || t == unknownType {
		return t
	}
	if m := mimetype.Lookup(t); m != nil {
		name := bare(m.String())
		if family, ok := names[name]; ok {
			return family
		}
		return name
	}
	return t
}

// family gives the entry of the list of allowed types that a type falls under.
func family(t string) string {
	name := canonical(t)
	_, own := names[t]
	switch {
	case own:
	case strings.HasSuffix(t, "+xml"):
		return xmlType
	case strings.HasSuffix(t, "+json"):
		return jsonType
	case strings.HasPrefix(t, "text/") && mimetype.Lookup(t) == nil:
		return textType
	}
	return name
}

// reconcile gives the type a file leaves as, and whether the declared type is
// borne out by the detected one.
func reconcile(declared, detected string) (leaves string, fits bool) {
	d := canonical(declared)
	switch {
	case nothings[declared] || containerOf(declared, detected):
		if detected == hl7Type {
			return textType, true
		}
		return detected, true
	case d == canonical(detected), film[d] && film[detected]:
		return declared, true
	case isText(detected) && textFits(declared, detected):
		return declared, true
	}
	return detected, false
}

// film holds the types of one container, which its brand tells apart poorly
// (ISO/IEC 14496-12).
var film = map[string]bool{"video/mp4": true, "audio/mp4": true, "audio/x-m4a": true, "video/quicktime": true, "video/3gpp": true}

// containerOf tells whether declared names no more than the wrapping of
// detected, which is true but says too little.
func containerOf(declared, detected string) bool {
	switch canonical(declared) {
	case zipType:
		return isZip(detected) && detected != zipType
	case oleType:
		return isOLE(detected) && detected != oleType
	}
	return false
}

// textFits tells whether a text may be called what it was declared.
func textFits(declared, detected string) bool {
	d := family(declared)
	switch {
	case detected == htmlType || detected == svgType:
		return false
	case d == textType:
		return true
	case detected == ndjsonType || detected == jsonType:
		return d == jsonType || d == ndjsonType
	case detected == rtfType || detected == xmlType || detected == mailType:
		return d == detected
	}
	// The rest is told apart by habit, not by signature.
	switch {
	case byHabit[d] && d != ndjsonType:
		return true
	case d == hl7Type:
		return detected == hl7Type
	}
	return strings.HasPrefix(d, "text/") && !texty[d] && dangerOf(d) == ""
}

package guard

import (
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

const (
	unknownType = filetype.Unknown
	pdfType     = filetype.PDF
	tiffType    = filetype.TIFF
	dicomType   = filetype.DICOM
	zipType     = filetype.Zip
	oleType     = filetype.OLE
	docType     = filetype.DOC
	xlsType     = filetype.XLS
	pptType     = filetype.PPT
	docxType    = filetype.DOCX
	xlsxType    = filetype.XLSX
	pptxType    = filetype.PPTX
	xlsbType    = filetype.XLSB
	textType    = filetype.Text
	rtfType     = filetype.RTF
	xmlType     = filetype.XML
	jsonType    = filetype.JSON
	ndjsonType  = filetype.NDJSON
	hl7Type     = filetype.HL7
	htmlType    = filetype.HTML
	svgType     = filetype.SVG
	mailType    = filetype.Mail
	scriptType  = filetype.Script
	programType = filetype.Program
	// polyglotType is no type of the table: a file of two types at once.
	polyglotType = "polyglot"
)

func canonical(t string) string { return filetype.Canonical(t) }

func known(t string) bool { return filetype.Known(t) }

// dangerOf gives the code of a type that never leaves.
func dangerOf(t string) string {
	if t == polyglotType {
		return CodePolyglot
	}
	row, _ := filetype.Of(canonical(t))
	return row.Code
}

func isText(t string) bool {
	row, _ := filetype.Of(t)
	return row.Text
}

// isLoose reports whether a type is told from plain text by its look alone.
func isLoose(t string) bool {
	row, _ := filetype.Of(t)
	return row.Loose
}

// fits reports whether bytes of the detected type may be called what the
// caller states.
func fits(stated, detected string) bool {
	d := canonical(stated)
	switch {
	case d == canonical(detected), film[d] && film[detected], containerOf(stated, detected):
		return true
	}
	return isText(detected) && textFits(stated, detected)
}

// film holds the types of one container, which its brand tells apart poorly
// (ISO/IEC 14496-12).
var film = map[string]bool{filetype.MP4: true, filetype.M4A: true, filetype.MOV: true, "video/3gpp": true}

// containerOf reports whether stated names no more than the wrapping of
// detected, which is true but says too little.
func containerOf(stated, detected string) bool {
	switch canonical(stated) {
	case zipType:
		return isZip(detected) && detected != zipType
	case oleType:
		return isOLE(detected) && detected != oleType
	}
	return false
}

// textFits reports whether a text may be called what the caller states.
func textFits(stated, detected string) bool {
	d := filetype.Family(stated)
	switch {
	case detected == htmlType || detected == svgType:
		return false
	case d == textType:
		return true
	case detected == ndjsonType || detected == jsonType:
		return d == jsonType || d == ndjsonType
	case !isLoose(detected):
		return d == detected
	}
	// The rest is told apart by its look, not by a signature.
	return isLoose(d) && d != ndjsonType || strings.HasPrefix(d, "text/") && !isText(d) && dangerOf(d) == ""
}

// refines reports whether the store's word says more of a text than its bytes
// do: a word beside a signature is none.
func refines(stated, detected string) bool {
	d := filetype.Family(stated)
	return detected == textType && textFits(stated, detected) || isLoose(detected) && isLoose(d) && textFits(stated, detected)
}

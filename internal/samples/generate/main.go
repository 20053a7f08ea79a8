// Command generate makes the sample documents. They show nothing real: the
// patient, the numbers and the pictures are invented here.
package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/tiff"
)

func main() {
	for name, content := range map[string][]byte{
		"lab-report.pdf":     labReport(),
		"referral-scan.tiff": scan(),
		"wound-photo.jpg":    photo(),
		"visit-summary.xml":  []byte(visitSummary),
		"patient.json":       []byte(patient),
		"lab-report.json":    reference("lab report", "11502-2", "Laboratory report"),
		"referral-scan.json": reference("scanned referral", "57133-1", "Referral note"),
		"wound-photo.json":   reference("photograph", "72170-4", "Photographic image"),
		"visit-summary.json": reference("visit summary", "34133-9", "Summary of episode note"),
		"practitioner.json":  []byte(practitioner),
	} {
		if err := os.WriteFile(filepath.Join("files", name), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// labReport is a PDF of two pages, written by hand: objects, a cross-reference
// table, a trailer (ISO 32000-1, 7.5).
func labReport() []byte {
	pages := [][]string{
		{"Northfield Laboratory", "Haematology report, page 1 of 2", "", "Haemoglobin      13.9 g/dL   (12.0 - 15.5)", "Leucocytes        6.1 /nL    (4.0 - 10.0)", "Thrombocytes      248 /nL    (150 - 400)"},
		{"Northfield Laboratory", "Haematology report, page 2 of 2", "", "No abnormality was found.", "Sample document; the patient and the values are invented."},
	}
	var out bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", len(offsets), fmt.Sprintf(format, args...))
	}
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Count 2 /Kids [4 0 R 6 0 R] >>")
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>")
	for i, lines := range pages {
		var text bytes.Buffer
		text.WriteString("BT /F1 12 Tf 60 760 Td 18 TL\n")
		for _, line := range lines {
			fmt.Fprintf(&text, "(%s) Tj T*\n", strings.NewReplacer("(", `\(`, ")", `\)`).Replace(line))
		}
		text.WriteString("ET")
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>", 5+2*i)
		object("<< /Length %d >>\nstream\n%s\nendstream", text.Len(), text.String())
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, start)
	return out.Bytes()
}

// scan is a page of black bars on white, as a fax would bring it.
func scan() []byte {
	page := image.NewGray(image.Rect(0, 0, 480, 620))
	for y := range 620 {
		for x := range 480 {
			line := y / 14
			ink := y%14 < 7 && line > 3 && line < 40 && x > 48 && x < 432-(line*37)%160 && (x/9+line)%5 != 0
			page.SetGray(x, y, color.Gray{Y: map[bool]uint8{true: 20, false: 250}[ink]})
		}
	}
	var out bytes.Buffer
	if err := tiff.Encode(&out, page, &tiff.Options{Compression: tiff.Deflate}); err != nil {
		log.Fatal(err)
	}
	return out.Bytes()
}

// photo is a reddish ellipse on skin tones.
func photo() []byte {
	picture := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		for x := range 320 {
			dx, dy := float64(x-160)/90, float64(y-120)/55
			wound := math.Exp(-(dx*dx + dy*dy))
			grain := math.Sin(float64(x*13+y*7)) * 4
			picture.Set(x, y, color.RGBA{
				R: uint8(222 + grain - 40*wound), G: uint8(180 + grain - 120*wound), B: uint8(160 + grain - 110*wound), A: 255,
			})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: 80}); err != nil {
		log.Fatal(err)
	}
	return out.Bytes()
}

func reference(description, code, display string) []byte {
	return fmt.Appendf(nil, `{
  "resourceType": "DocumentReference",
  "status": "current",
  "type": {"coding": [{"system": "http://loinc.org", "code": %q, "display": %q}]},
  "category": [{"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "code": "clinical-note", "display": "Clinical Note"}]}],
  "date": "2026-11-20T09:30:00Z",
  "author": [{"reference": "Practitioner/p1"}],
  "description": %q
}
`, code, display, description)
}

const patient = `{
  "resourceType": "Patient",
  "identifier": [{"system": "urn:oid:2.16.840.1.113883.3.9999.1", "value": "SAMPLE-0001"}],
  "name": [{"family": "Sample", "given": ["Quentin"]}],
  "gender": "male",
  "birthDate": "1961-04-12"
}
`

const practitioner = `{
  "resourceType": "Practitioner",
  "id": "p1",
  "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "9999999999"}],
  "name": [{"family": "Example", "given": ["Ada"], "prefix": ["Dr."]}]
}
`

// visitSummary is a short C-CDA continuity of care document. Template and code
// identifiers are those of HL7's C-CDA R2.1.
const visitSummary = `<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <realmCode code="US"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="2.16.840.1.113883.10.20.22.1.1" extension="2015-08-01"/>
  <templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2015-08-01"/>
  <id root="2.16.840.1.113883.3.9999.2" extension="visit-0001"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summarization of Episode Note"/>
  <title>Visit summary</title>
  <effectiveTime value="20261120093000+0000"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="en-US"/>
  <recordTarget>
    <patientRole>
      <id root="2.16.840.1.113883.3.9999.1" extension="SAMPLE-0001"/>
      <patient>
        <name><given>Quentin</given><family>Sample</family></name>
        <administrativeGenderCode code="M" codeSystem="2.16.840.1.113883.5.1"/>
        <birthTime value="19610412"/>
      </patient>
    </patientRole>
  </recordTarget>
  <author>
    <time value="20261120093000+0000"/>
    <assignedAuthor>
      <id root="2.16.840.1.113883.4.6" extension="9999999999"/>
      <assignedPerson><name><prefix>Dr.</prefix><given>Ada</given><family>Example</family></name></assignedPerson>
    </assignedAuthor>
  </author>
  <custodian>
    <assignedCustodian>
      <representedCustodianOrganization>
        <id root="2.16.840.1.113883.3.9999.3"/>
        <name>Northfield Clinic</name>
      </representedCustodianOrganization>
    </assignedCustodian>
  </custodian>
  <component>
    <structuredBody>
      <component>
        <section nullFlavor="NI">
          <templateId root="2.16.840.1.113883.10.20.22.2.5.1" extension="2015-08-01"/>
          <code code="11450-4" codeSystem="2.16.840.1.113883.6.1" displayName="Problem list"/>
          <title>Problems</title>
          <text>No known problems.</text>
        </section>
      </component>
    </structuredBody>
  </component>
</ClinicalDocument>
`

package compose_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/compose"
)

const pageFile = "../../docs/operations.md"

// TestPageIsCurrent holds docs/operations.md against the table. To write it
// anew: go test ./pipeline/compose -run TestPageIsCurrent -update
func TestPageIsCurrent(t *testing.T) {
	want := page(compose.Operations())
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/operations.md is not what the table says; run go test ./pipeline/compose -run TestPageIsCurrent -update")
	}
}

const pageHead = `# Operations

<!-- Generated from the table in pipeline/compose. Change it there, then: go test ./pipeline/compose -run TestPageIsCurrent -update -->

What a job's ` + "`operation`" + ` can be, what its ` + "`message`" + ` must hold, and where its files go. Elements are named from the top of
` + "`message`" + `; ` + "`[]`" + ` stands for each element of an array. The tests hold what is required and what is filled in against the code.

`

const pageRules = `
## What holds for all

- What the caller gives is kept as it is: unknown members, extensions, the order of keys, the digits of numbers. An element that is filled in
  where it is absent is kept where it is given, unless it contradicts the job: then the job is refused.
- What only the file can say is refused when the caller gives it (` + "`attachment_given`" + `).
- What no message can name is refused before the first byte of a file is sent: a type without a FileType, a Media without a file name.
- A ` + "`contentType`" + ` of the caller's that is an unregistered name, such as ` + "`image/jpg`" + `, is replaced by the registered one, and ` + "`application/octet-stream`" + ` by the file's own ([content guard](content-guard.md#as-what-type-a-file-leaves)).
- All identifiers that are made derive from the job's id, so that a message sent twice is recognized by them.
- A file travels as base64 inside the message, or is uploaded first and its URL stands in its place.
- **FHIR**: ` + "`patient`" + `, ` + "`resource`" + `, ` + "`entries`" + ` and ` + "`header`" + ` become a Bundle of type message. References to a resource of the message, by
  ` + "`Type/id`" + ` or ` + "`urn:uuid:`" + `, are set to its ` + "`fullUrl`" + `; one that leads nowhere is refused. The subject of the resource is the patient of the message.
- **FHIR**, documents of the caller's own: only the job's files are judged, so no other may travel (` + "`attachment_given`" + `). Refused are a ` + "`Binary`" + `
  in ` + "`entries`" + ` or inside a resource, a string ` + "`data`" + ` at any depth, unless it is that of a SampledData or a Signature (the element that holds it is
  called ` + "`…SampledData`" + `, ` + "`signature`" + ` or ` + "`…Signature`" + ` and states no ` + "`contentType`" + `), any ` + "`…Base64Binary`" + `, and an element for URLs or URIs that begins with ` + "`data:`" + `. Name the file in ` + "`files`" + ` instead.
  The bytes of a signature are judged like a file: a text (JWS, XML), a picture or ASN.1 in DER may travel. SampledData holds numbers. A device's ` + "`carrierAIDC`" + `, an audit event's ` + "`query`" + ` and a ` + "`hash`" + ` may be anything that is no file.
- **FHIR**, narratives: a ` + "`div`" + ` with scripts, handlers of events, frames, objects, forms or links to scripts is refused (` + "`element_invalid`" + `), as FHIR's rules for narratives have it, and one with a picture inside of it (` + "`data:`" + `) as a document of the caller's own.
- **FHIR**, the patient's identifiers: each has a ` + "`value`" + `, and one of them a ` + "`system`" + ` too. That one Redox matches on; local numbers without a system may stand beside it.
  Outside of the files' places an Attachment may have another ` + "`url`" + `: it names a document and does not carry it.
- **FHIR**, one patient: refused as ` + "`subject_mismatch`" + ` are a ` + "`Bundle`" + ` or ` + "`Parameters`" + ` in ` + "`entries`" + `; these and a ` + "`Patient`" + ` inside a resource; and at any
  depth a ` + "`subject`" + ` or ` + "`patient`" + ` whose reference is a URL of a Patient, or any URL beside the type Patient.
- **Data Model**: ` + "`message`" + ` is the Data Model message itself. ` + "`Meta.Source.ID`" + ` is filled in where the job or the worker names a source;
  ` + "`Meta.Destinations`" + ` holds the job's destination alone. Where Redox's schemas type a member that is filled in as a value or null, null is taken for absent: ` + "`EventDateTime`" + `, ` + "`Source.ID`" + `, ` + "`ID`" + ` and ` + "`Name`" + ` of the destination, ` + "`FileName`" + `, ` + "`FileType`" + ` and ` + "`FileContents`" + ` of a
  Note, ` + "`FileType`" + ` of a result. In its extensions bytes of the caller's own are refused as in FHIR.
`

// page renders the table for its readers.
func page(table []compose.Operation) []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	b.WriteString("| operation | API | files | a file goes to |\n|---|---|---|---|\n")
	for _, op := range table {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", op.Name, op.Name, op.API, count(op.MaxFiles), op.About.File)
	}
	b.WriteString(pageRules)
	for _, op := range table {
		section(&b, op)
	}
	return b.Bytes()
}

func section(b *bytes.Buffer, op compose.Operation) {
	main, event := "main resource", "event"
	if op.API == compose.DataModel {
		main, event = "data model", "event type"
	}
	fmt.Fprintf(b, "\n## %s\n\n| | |\n|---|---|\n", op.Name)
	row := func(name, value string) { fmt.Fprintf(b, "| %s | %s |\n", name, value) }
	row("API", op.API.String())
	row("path", "`"+op.Path+"`, as `"+op.ContentType+"`")
	row(main, "`"+op.Main+"`")
	row(event, "`"+op.Event+"`")
	row("files", count(op.MaxFiles))
	row("a file goes to", op.About.File)
	if len(op.Entries) > 0 {
		row("further entries", "only "+list(op.Entries))
	}
	row("required", list(op.About.Required))
	row("filled in", list(op.About.Filled))
	bullets(b, "", op.About.Notes)
	bullets(b, "Uncertain:\n\n", op.About.Uncertain)
}

func bullets(b *bytes.Buffer, head string, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n" + head)
	for _, line := range lines {
		b.WriteString("- " + line + "\n")
	}
}

func list(elements []string) string { return "`" + strings.Join(elements, "`, `") + "`" }

func count(most int) string {
	if most == 1 {
		return "1"
	}
	return fmt.Sprintf("1 to %d", most)
}

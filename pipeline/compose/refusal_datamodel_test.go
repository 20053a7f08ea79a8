package compose_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// dataModel lists the operations of the Data Model.
func dataModel(t *testing.T) []string {
	var names []string
	for _, op := range compose.Operations() {
		if op.API == compose.DataModel {
			names = append(names, op.Name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no operation of the Data Model")
	}
	return names
}

func TestRefusalsOfMeta(t *testing.T) {
	const meta, destinations = "/message/Meta", `[{"ID": "dest-1", "Name": "Good Health"}]`
	const when = `"2026-11-19T10:00:00Z"`
	checkRefusals(t, []refusal{
		{"not JSON", "", `{"Meta": Zqxcanary}`, "message_invalid", "/message"},
		{"an array", "", `[]`, "message_invalid", "/message"},
		{"Meta is an array", `"Meta": {`, `"Meta": [], "x": {`, "element_invalid", meta},
		{"Meta is null", `"Meta": {`, `"Meta": null, "x": {`, "element_invalid", meta},
		{"another model", `"DataModel": "`, `"DataModel": "Zqxcanary`, "header_conflict", meta + "/DataModel"},
		{"model is null", `"DataModel": `, `"DataModel": null, "x": `, "header_conflict", meta + "/DataModel"},
		{"another event", `"EventType": "`, `"EventType": "Zqxcanary`, "header_conflict", meta + "/EventType"},
		{"time is null", when, `null`, "", ""},
		{"source's id is null", `"0f8fad5b-d9cb-469f-a165-70867728950e"`, `null`, "", ""},
		{"destination of a null id", `"dest-1"`, `null`, "", ""},
		{"destination of a null name", `"Good Health"`, `null`, "", ""},
		{"time of another zone", when, `"2026-11-19T10:00:00+01:00"`, "element_invalid", meta + "/EventDateTime"},
		{"time without zone", when, `"2026-11-19T10:00:00"`, "element_invalid", meta + "/EventDateTime"},
		{"time of no day", when, `"2026-02-30T10:00:00Z"`, "element_invalid", meta + "/EventDateTime"},
		{"time with a line end", when, `"2026-11-19T10:00:00Z\n"`, "element_invalid", meta + "/EventDateTime"},
		{"source is a string", `"Source": {`, `"Source": "Zqxcanary", "x": {`, "element_invalid", meta + "/Source"},
		{"source is no UUID", `"0f8fad5b-d9cb-469f-a165-70867728950e"`, `"Zqxcanary"`, "element_invalid", meta + "/Source/ID"},
		{"another source", `"0f8fad5b-d9cb-469f-a165-70867728950e"`, `"1f8fad5b-d9cb-469f-a165-70867728950e"`, "header_conflict", meta + "/Source/ID"},
		{"no destination", destinations, `[]`, "header_conflict", meta + "/Destinations"},
		{"two destinations", destinations, `[{"ID": "dest-1"}, {"ID": "dest-2"}]`, "header_conflict", meta + "/Destinations"},
		{"destinations is an object", destinations, `{"ID": "dest-1"}`, "header_conflict", meta + "/Destinations"},
		{"destination is a string", destinations, `["dest-1"]`, "header_conflict", meta + "/Destinations"},
		{"another destination", `"dest-1"`, `"Zqxcanary"`, "header_conflict", meta + "/Destinations/0/ID"},
		{"destination of another name", `"Good Health"`, `"Zqxcanary"`, "header_conflict", meta + "/Destinations/0/Name"},

		{"no patient", `"Patient"`, `"patient"`, "element_missing", "/message/Patient"},
		{"patient is an array", `"Patient": {`, `"Patient": [], "x": {`, "element_invalid", "/message/Patient"},
		{"no identifiers", `"Identifiers"`, `"identifiers"`, "element_missing", "/message/Patient/Identifiers"},
		{"empty identifiers", `"Identifiers": [`, `"Identifiers": [], "x": [`, "element_missing", "/message/Patient/Identifiers"},
		{"identifiers is an object", `"Identifiers": [`, `"Identifiers": {}, "x": [`, "element_invalid", "/message/Patient/Identifiers"},
		{"identifier is a string", `"Identifiers": [`, `"Identifiers": ["Zqxcanary", `, "element_invalid", "/message/Patient/Identifiers/0"},
		{"identifier without ID", `"Identifiers": [`, `"Identifiers": [{"IDType": "MR"}, `, "element_missing", "/message/Patient/Identifiers/0/ID"},
		{"identifier with a number", `"Identifiers": [`, `"Identifiers": [{"ID": 471100815, "IDType": "MR"}, `, "element_invalid", "/message/Patient/Identifiers/0/ID"},
		{"identifier without type", `"Identifiers": [`, `"Identifiers": [{"ID": "Zqxcanary"}, `, "element_missing", "/message/Patient/Identifiers/0/IDType"},
		{"identifier with an empty type", `"Identifiers": [`, `"Identifiers": [{"ID": "Zqxcanary", "IDType": ""}, `, "element_invalid", "/message/Patient/Identifiers/0/IDType"},
	}, dataModel(t)...)
	for _, operation := range dataModel(t) {
		job, _ := baseOf(t, operation)
		job.Destination.ID = ""
		checkRefused(t, job, "element_missing", "/destination/id")
	}
}

func TestRefusalsOfDocuments(t *testing.T) {
	for key, operations := range map[string][]string{
		"Note":  {schemas.NotesNew, schemas.NotesReplace},
		"Media": {schemas.MediaNew, schemas.MediaReplace},
	} {
		where, open := "/message/"+key, `"`+key+`": {`
		cases := []refusal{
			{"absent", open, `"` + strings.ToLower(key) + `": {`, "element_missing", where},
			{"an array", open, `"` + key + `": [], "x": {`, "element_invalid", where},
			{"no document type", `"DocumentType"`, `"documentType"`, "element_missing", where + "/DocumentType"},
			{"empty document type", `"DocumentType": "Zqxcanary"`, `"DocumentType": ""`, "element_invalid", where + "/DocumentType"},
			{"id is empty", `"DocumentID": "Zqxcanary-1"`, `"DocumentID": ""`, "element_invalid", where + "/DocumentID"},
			{"id is null", `"DocumentID": "Zqxcanary-1"`, `"DocumentID": null`, "element_invalid", where + "/DocumentID"},
			{"no provider", `"Provider"`, `"provider"`, "element_missing", where + "/Provider"},
			{"provider is an array", `"Provider": {`, `"Provider": [], "x": {`, "element_invalid", where + "/Provider"},
			{"provider without id", `"Provider": {"ID"`, `"Provider": {"NPI"`, "element_missing", where + "/Provider/ID"},
			{"provider with a number", `"Provider": {"ID": "Zqxcanary"`, `"Provider": {"ID": 471100815`, "element_invalid", where + "/Provider/ID"},
		}
		for _, field := range []string{"FileContents", "FileName", "FileType"} {
			// Redox's schemas have null in a Note, and not in Media.
			code, path := "attachment_given", where+"/"+field
			if key == "Note" {
				code, path = "", ""
			}
			cases = append(cases,
				refusal{"with " + field, open, open + `"` + field + `": "Zqxcanary", `, "attachment_given", where + "/" + field},
				refusal{"with null " + field, open, open + `"` + field + `": null, `, code, path})
		}
		checkRefusals(t, cases, operations...)
		checkRefusals(t, []refusal{
			{"no original", `"OriginalDocumentID"`, `"Original"`, "element_missing", where + "/OriginalDocumentID"},
			{"original is empty", `"Zqxcanary-0"`, `""`, "element_invalid", where + "/OriginalDocumentID"},
			{"original is the new one", `"Zqxcanary-0"`, `"Zqxcanary-1"`, "element_invalid", where + "/DocumentID"},
		}, operations[1])
	}
	checkRefusals(t, []refusal{
		{"plain text", `"Note": {`, `"Note": {"ContentType": "Plain Text", `, "element_invalid", "/message/Note/ContentType"},
		{"content type is null", `"Note": {`, `"Note": {"ContentType": null, `, "element_invalid", "/message/Note/ContentType"},
	}, schemas.NotesNew, schemas.NotesReplace)
	checkRefusals(t, []refusal{
		{"no availability", `"Availability"`, `"availability"`, "element_missing", "/message/Media/Availability"},
		{"unknown availability", `"Available"`, `"Zqxcanary"`, "element_invalid", "/message/Media/Availability"},
	}, schemas.MediaNew, schemas.MediaReplace)
}

func TestRefusalsOfResults(t *testing.T) {
	const order, result = "/message/Orders/0", "/message/Orders/0/Results/0"
	const first, second = `{"Code": "Zqxcanary", "Status": "Final", "ValueType": "Encapsulated Data"}`, `"ValueType": "Numeric", "Value": "471100815"`
	cases := []refusal{
		{"no orders", `"Orders"`, `"orders"`, "element_missing", "/message/Orders"},
		{"empty orders", `"Orders": [`, `"Orders": [], "x": [`, "element_missing", "/message/Orders"},
		{"orders is an object", `"Orders": [`, `"Orders": {}, "x": [`, "element_invalid", "/message/Orders"},
		{"order is a string", `"Orders": [`, `"Orders": ["Zqxcanary", `, "element_invalid", order},
		{"no order status", `"Status": "Resulted"`, `"status": "Resulted"`, "element_missing", order + "/Status"},
		{"no results", `"Results": [`, `"results": [`, "element_missing", order + "/Results"},
		{"empty results", `"Results": [`, `"Results": [], "x": [`, "element_missing", order + "/Results"},
		{"result is null", `"Results": [`, `"Results": [null, `, "element_invalid", result},
		{"no code", `"Code"`, `"code"`, "element_missing", result + "/Code"},
		{"code is a number", `"Code": "Zqxcanary"`, `"Code": 471100815`, "element_invalid", result + "/Code"},
		{"no result status", `"Status": "Final"`, `"status": "Final"`, "element_missing", result + "/Status"},
		{"unknown value type", `"Numeric"`, `"Zqxcanary"`, "element_invalid", order + "/Results/1/ValueType"},
		{"value without type", second, `"Value": "471100815"`, "element_missing", order + "/Results/1/ValueType"},
		{"type without value", second, `"ValueType": "Numeric"`, "element_missing", order + "/Results/1/Value"},
		{"value is a number", second, `"ValueType": "Numeric", "Value": 471100815`, "element_invalid", order + "/Results/1/Value"},
		{"value is null", second, `"ValueType": "Numeric", "Value": null`, "element_invalid", order + "/Results/1/Value"},
		{"a file of the caller's", second, `"ValueType": "Encapsulated Data", "Value": "Zqxcanary"`, "attachment_given", order + "/Results/1/Value"},
		{"a null file of the caller's", second, `"ValueType": "Encapsulated Data", "Value": null`, "attachment_given", order + "/Results/1/Value"},
		{"a file type of the caller's", first, strings.Replace(first, `}`, `, "FileType": "PDF"}`, 1), "attachment_given", result + "/FileType"},
		{"a null file type", first, strings.Replace(first, `}`, `, "FileType": null}`, 1), "", ""},
		{"bytes in an extension", first, strings.Replace(first, `}`, `, "Extensions": {"x": {"valueBase64Binary": "TVqQAA=="}}}`, 1), "attachment_given", result + "/Extensions/*/valueBase64Binary"},
		{"an attachment in an extension", first, strings.Replace(first, `}`, `, "Extensions": {"x": {"valueAttachment": {"data": "TVqQAA=="}}}}`, 1), "attachment_given", result + "/Extensions/*/valueAttachment/data"},
		{"a document for a URL", first, strings.Replace(first, `}`, `, "Extensions": {"x": {"valueUrl": "data:text/html,x"}}}`, 1), "attachment_given", result + "/Extensions/*/valueUrl"},
		{"neither marked nor valued", second, `"x": 1`, "element_missing", order + "/Results/1/Value"},
		{"three for two files", second, `"ValueType": "Encapsulated Data"`, "content_mismatch", "/message/Orders"},
		{"one for two files", first, strings.Replace(first, `"Encapsulated Data"`, `"String", "Value": "Zqxcanary"`, 1), "content_mismatch", "/message/Orders"},
		{"none for two files", "", strings.ReplaceAll(bases()[schemas.ResultsNew].message, `"Encapsulated Data"`, `"String", "Value": "Zqxcanary"`), "content_mismatch", "/message/Orders"},
	}
	checkRefusals(t, cases, schemas.ResultsNew)
	cases[len(cases)-1].new = strings.Replace(cases[len(cases)-1].new, `"New"`, `"NewUnsolicited"`, 1)
	checkRefusals(t, cases, schemas.ResultsNewUnsolicited)
	checkRefusals(t, []refusal{
		{"no id", `"ID": "Zqxcanary-1",`, ``, "element_missing", order + "/ID"},
		{"no application id", `"ApplicationOrderID": "Zqxcanary-2",`, ``, "", ""},
	}, schemas.ResultsNew)
	checkRefusals(t, []refusal{
		{"no id", `"ID": "Zqxcanary-1",`, ``, "", ""},
		{"no application id", `"ApplicationOrderID": "Zqxcanary-2",`, ``, "element_missing", order + "/ApplicationOrderID"},
		{"application id is null", `"Zqxcanary-2"`, `null`, "element_invalid", order + "/ApplicationOrderID"},
	}, schemas.ResultsNewUnsolicited)
}

func TestRefusalsOfFilesOfTheDataModel(t *testing.T) {
	cases := []struct {
		name, code, path string
		change           func(*compose.Attachment)
	}{
		{"no type", "element_missing", "/files/0/content_type", func(a *compose.Attachment) { a.ContentType = "" }},
		{"type of no name", "element_missing", "/files/0/content_type", func(a *compose.Attachment) { a.ContentType = "application/octet-stream" }},
		{"type is the canary", "element_missing", "/files/0/content_type", func(a *compose.Attachment) { a.ContentType = canary }},
		{"empty", "element_invalid", "/files/0", func(a *compose.Attachment) { a.Size = 0 }},
		{"too large", "element_invalid", "/files/0", func(a *compose.Attachment) { a.Size = 1 << 31 }},
		{"no title", "element_missing", "/files/0/title", func(a *compose.Attachment) { a.Title = "\x00" }},
	}
	for _, operation := range dataModel(t) {
		for _, c := range cases {
			job, files := baseOf(t, operation)
			c.change(&files[0])
			_, err := compose.Compose(job, files)
			if c.name == "no title" && !strings.HasPrefix(operation, "media-") {
				if err != nil {
					t.Errorf("%s needs no title, yet: %v", operation, err)
				}
				continue
			}
			f, ok := errors.AsType[*fault.Fault](err)
			if !ok || f.Code != c.code || f.Path != c.path || f.Kind != fault.Permanent || strings.Contains(f.Error(), canary) {
				t.Errorf("%s, %s: want %s at %s, got %v", operation, c.name, c.code, c.path, err)
			}
		}
	}
}

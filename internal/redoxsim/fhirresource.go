package redoxsim

import "fmt"

var genders = []string{"male", "female", "other", "unknown"}

// patient checks what Redox matches by: identifiers and demographics.
func (b *bundleCheck) patient(p object, at string) {
	complete := false
	for _, v := range list(p["identifier"]) {
		id, _ := v.(object)
		complete = complete || isAbsolute(text(id["system"])) && text(id["value"]) != ""
	}
	if !complete {
		b.add("patient-identifier", at+"/identifier")
	}
	named := false
	for _, v := range list(p["name"]) {
		name, _ := v.(object)
		named = named || text(name["family"]) != "" || text(name["text"]) != "" || len(list(name["given"])) > 0
	}
	if !named {
		b.add("patient-name", at+"/name")
	}
	if !contains(genders, text(p["gender"])) {
		b.add("patient-gender", at+"/gender")
	}
	if !isDate(p["birthDate"]) {
		b.add("patient-birth-date", at+"/birthDate")
	}
}

func (b *bundleCheck) documentReference(r object, at string) {
	if master, given := r["masterIdentifier"]; given {
		id, _ := master.(object)
		b.m.DocumentID = text(id["value"])
		if b.m.DocumentID == "" {
			b.add("master-identifier-value", at+"/masterIdentifier/value")
		}
	}
	if date, given := r["date"]; given && !isInstant(date) {
		b.add("fhir-instant", at+"/date")
	}
	content := list(r["content"])
	if len(content) == 0 {
		b.add("document-content", at+"/content")
	}
	for i, v := range content {
		o, _ := v.(object)
		if _, ok := o["attachment"].(object); !ok {
			b.add("document-attachment", fmt.Sprintf("%s/content/%d/attachment", at, i))
		}
	}
	for i, v := range list(r["relatesTo"]) {
		o, _ := v.(object)
		_, ok := o["target"].(object)
		if !ok || !contains([]string{"replaces", "transforms", "signs", "appends"}, text(o["code"])) {
			b.add("relates-to", fmt.Sprintf("%s/relatesTo/%d", at, i))
		}
	}
}

func (b *bundleCheck) diagnosticReport(r object, at string) {
	b.coded(r, at)
	if r["attachment"] != nil || r["content"] != nil {
		b.add("report-file-in-presented-form", at)
	}
}

// observation: R4 has no element for a file in it; HL7's cross-version
// extension is where one is looked for.
func (b *bundleCheck) observation(r object, at string) {
	b.coded(r, at)
	for _, name := range []string{"valueAttachment", "presentedForm", "content", "attachment"} {
		if r[name] != nil {
			b.add("observation-has-no-such-element", at+"/"+name)
		}
	}
}

// coded checks what reports and observations share.
func (b *bundleCheck) coded(r object, at string) {
	code, _ := r["code"].(object)
	if text(code["text"]) == "" && len(list(code["coding"])) == 0 {
		b.add("code", at+"/code")
	}
	if issued, given := r["issued"]; given && !isInstant(issued) {
		b.add("fhir-instant", at+"/issued")
	}
	if effective, given := r["effectiveDateTime"]; given && !isDateTime(effective) {
		b.add("fhir-date-time", at+"/effectiveDateTime")
	}
	if ids := list(r["identifier"]); len(ids) > 0 && b.m.DocumentID == "" {
		id, _ := ids[0].(object)
		b.m.DocumentID = text(id["value"])
	}
}

// attachments finds every Attachment below v by the element names R4 gives
// them where a message carries a document.
func (b *bundleCheck) attachments(v any, at string) {
	switch v := v.(type) {
	case object:
		for _, name := range sorted(v) {
			path := at + "/" + pointer(name)
			switch member := v[name].(type) {
			case object:
				if contains([]string{"attachment", "valueAttachment", "contentAttachment"}, name) {
					b.attachment(member, path)
				}
				b.attachments(member, path)
			case []any:
				for i, item := range member {
					if o, ok := item.(object); ok && name == "presentedForm" {
						b.attachment(o, fmt.Sprintf("%s/%d", path, i))
					}
				}
				b.attachments(member, path)
			}
		}
	case []any:
		for i, item := range v {
			b.attachments(item, fmt.Sprintf("%s/%d", at, i))
		}
	}
}

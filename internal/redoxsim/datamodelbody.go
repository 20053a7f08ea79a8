package redoxsim

import (
	"fmt"
	"strings"
)

// note checks Notes New and Replace.
func (k *modelCheck) note() {
	note, _ := k.doc.root["Note"].(object)
	k.document(note, "/Note")
	kind := k.need(note, "ContentType", "/Note")
	if kind != "" && !contains(noteContentTypes, kind) {
		k.add("note-content-type", "/Note/ContentType")
	}
	contents := text(note["FileContents"])
	switch {
	case contents == "" && (kind == "Base64 Encoded" || len(list(note["Components"])) == 0):
		k.add("required", "/Note/FileContents")
	case contents != "":
		k.file(contents, "/Note/FileContents", note, kind != "Base64 Encoded")
	}
}

// media checks Media New and Replace.
func (k *modelCheck) media() {
	media, _ := k.doc.root["Media"].(object)
	k.document(media, "/Media")
	k.need(media, "FileType", "/Media")
	k.need(media, "FileName", "/Media")
	if !contains(availabilities, k.need(media, "Availability", "/Media")) {
		k.add("media-availability", "/Media/Availability")
	}
	if contents := k.need(media, "FileContents", "/Media"); contents != "" {
		k.file(contents, "/Media/FileContents", media, false)
	}
}

// document checks what notes and media share. A replacement has a new id of its
// own beside the old one.
func (k *modelCheck) document(o object, at string) {
	k.need(o, "DocumentType", at)
	k.m.DocumentID = k.need(o, "DocumentID", at)
	provider, _ := o["Provider"].(object)
	k.need(provider, "ID", at+"/Provider")
	if k.event != "Replace" {
		return
	}
	if old := k.need(o, "OriginalDocumentID", at); old != "" && old == k.m.DocumentID {
		k.add("document-id-new", at+"/DocumentID")
	}
}

// results checks Results New and NewUnsolicited.
func (k *modelCheck) results() {
	id := "ID"
	if k.event == "NewUnsolicited" {
		id = "ApplicationOrderID"
	}
	orders := list(k.doc.root["Orders"])
	if len(orders) == 0 {
		k.add("required", "/Orders")
	}
	for i, v := range orders {
		order, _ := v.(object)
		at := fmt.Sprintf("/Orders/%d", i)
		named := k.need(order, id, at)
		if i == 0 {
			k.m.DocumentID = named
		}
		k.need(order, "Status", at)
		results := list(order["Results"])
		if len(results) == 0 {
			k.add("required", at+"/Results")
		}
		for j, v := range results {
			result, _ := v.(object)
			k.result(result, fmt.Sprintf("%s/Results/%d", at, j))
		}
	}
}

// result: Status of a result is required by the schema of 2021.
func (k *modelCheck) result(r object, at string) {
	k.need(r, "Code", at)
	k.need(r, "Status", at)
	kind, value := k.need(r, "ValueType", at), k.need(r, "Value", at)
	if kind != "" && !contains(valueTypes, kind) {
		k.add("result-value-type", at+"/ValueType")
	}
	if kind == "Encapsulated Data" && value != "" {
		k.file(value, at+"/Value", r, false)
	}
}

// file reads a file field: a URI issued here, base64, or in notes of another
// content type than base64 plain text.
func (k *modelCheck) file(value, at string, o object, textAllowed bool) {
	var f File
	var rule string
	switch web := strings.HasPrefix(value, "https://") || strings.HasPrefix(value, "http://"); {
	case web:
		f, rule = k.s.named(value, k.client, k.m.Source)
		if f.How == External { // only Redox's own addresses stand in for a file
			rule = "file-url-foreign"
		}
	case textAllowed:
		var err error
		if f, err = k.doc.plain(value); err != nil {
			rule = "json"
		}
	default:
		var err error
		if f, err = k.doc.embedded(value); err != nil {
			rule = "file-base64"
		}
	}
	if rule != "" {
		k.add(rule, at)
		return
	}
	f.ContentType, f.Title = text(o["FileType"]), text(o["FileName"])
	k.m.Files = append(k.m.Files, f)
}

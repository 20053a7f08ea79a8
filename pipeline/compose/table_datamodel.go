package compose

import "github.com/chartpost/chartpost/schemas"

const (
	plainJSON = "application/json"
	// dataModelPath is that of every Data Model message (Redox docs, Data
	// Model API).
	dataModelPath = "endpoint"
)

// dataModelOperations are the rows of Redox's Data Model API (Redox docs, Data
// Model API; the elements required are those of Redox's schemas).
func dataModelOperations() []Operation {
	note := []string{"Note.DocumentType", "Note.Provider.ID"}
	noteMade := []string{"Note.DocumentID", "Note.ContentType", "Note.FileName", "Note.FileType", "Note.FileContents"}
	media := []string{"Media.DocumentType", "Media.Provider.ID", "Media.Availability"}
	mediaMade := []string{"Media.DocumentID", "Media.FileName", "Media.FileType", "Media.FileContents"}
	result := []string{"Orders[].Status", "Orders[].Results[].Code", "Orders[].Results[].Status"}
	resultMade := []string{"Orders[].Results[].ValueType", "Orders[].Results[].FileType", "Orders[].Results[].Value"}

	oneFile := "A message carries one file: several files are several jobs."
	newID := "`DocumentID` is the new document's, another than `OriginalDocumentID`."
	noteContent := "`Note.ContentType` where `FileContents` is a URI. Redox's docs give `Base64 Encoded` for files; a working client sends `Plain Text`. " +
		"The default is that of the docs; `Plain Text` is a setting (`--uploaded-note`) and applies to uploaded files alone."
	noteType := "`Note.FileType` is younger than the schemas Redox published; it is always sent."
	fileTypes := "`FileType` is free text. The names used here are those of Redox's samples where there is one (`PDF`, `JPG`)."
	resultRules := []string{
		"The file goes into the result without a `Value`. Where several have none, mark those that take files by `ValueType` `Encapsulated Data`: " +
			"there must be as many as files, and they take them in their order.",
		"Every other result needs `Value` and `ValueType`.",
		"A title does not travel: the Data Model has no place for it in a result.",
	}
	resultDoubt := []string{
		fileTypes,
		"Whether Redox still requires the `Status` of a result: its schemas of 2021 do, so it is required here.",
		"Whether a repeat is recognized: a result has no id of its own. Order and code are all that tells it.",
	}

	return []Operation{
		dataModelRow(schemas.NotesNew, "Notes", "New", 1, place{newNote, admitModel, fillNote}, About{
			File:      "`Note.FileContents`",
			Required:  modelElements(note),
			Filled:    modelElementsMade(noteMade),
			Notes:     []string{oneFile},
			Uncertain: []string{noteContent, noteType, fileTypes},
		}),
		dataModelRow(schemas.NotesReplace, "Notes", "Replace", 1, place{replacedNote, admitModel, fillNote}, About{
			File:      "`Note.FileContents`",
			Required:  modelElements(note, "Note.OriginalDocumentID"),
			Filled:    modelElementsMade(noteMade),
			Notes:     []string{oneFile, newID},
			Uncertain: []string{noteContent, noteType, fileTypes},
		}),
		dataModelRow(schemas.MediaNew, "Media", "New", 1, place{newMedia, admitMedia, fillMedia}, About{
			File:      "`Media.FileContents`",
			Required:  modelElements(media),
			Filled:    modelElementsMade(mediaMade),
			Notes:     []string{oneFile, "Redox prefers Notes for files."},
			Uncertain: []string{fileTypes},
		}),
		dataModelRow(schemas.MediaReplace, "Media", "Replace", 1, place{replacedMedia, admitMedia, fillMedia}, About{
			File:      "`Media.FileContents`",
			Required:  modelElements(media, "Media.OriginalDocumentID"),
			Filled:    modelElementsMade(mediaMade),
			Notes:     []string{oneFile, newID, "Redox prefers Notes for files."},
			Uncertain: []string{fileTypes},
		}),
		dataModelRow(schemas.ResultsNew, "Results", "New", maxFiles, place{results("ID"), admitModel, fillResult}, About{
			File:      "`Orders[].Results[].Value`",
			Required:  modelElements(result, "Orders[].ID"),
			Filled:    modelElementsMade(resultMade),
			Notes:     resultRules,
			Uncertain: resultDoubt,
		}),
		dataModelRow(schemas.ResultsNewUnsolicited, "Results", "NewUnsolicited", maxFiles, place{results("ApplicationOrderID"), admitModel, fillResult}, About{
			File:      "`Orders[].Results[].Value`",
			Required:  modelElements(result, "Orders[].ApplicationOrderID"),
			Filled:    modelElementsMade(resultMade),
			Notes:     resultRules,
			Uncertain: resultDoubt,
		}),
	}
}

func dataModelRow(name, model, event string, files int, build place, about About) Operation {
	return Operation{
		Name:        name,
		API:         DataModel,
		Path:        dataModelPath,
		ContentType: plainJSON,
		Event:       event,
		Main:        model,
		MaxFiles:    files,
		About:       about,
		build:       dataModelMessage(build),
	}
}

// modelElements are those that every Data Model message requires, and those of
// one kind of it.
func modelElements(kind []string, own ...string) []string {
	all := []string{"Patient.Identifiers[].ID", "Patient.Identifiers[].IDType"}
	return append(append(all, kind...), own...)
}

// modelElementsMade are those that every Data Model message gets, and those of
// one kind of it.
func modelElementsMade(kind []string) []string {
	all := []string{"Meta.DataModel", "Meta.EventType", "Meta.EventDateTime", "Meta.Source.ID", "Meta.Destinations"}
	return append(all, kind...)
}

package guard

import "github.com/chartpost/chartpost/pipeline/filetype"

// The codes of refused files. They are stable: programs may switch on them.
const (
	CodeExecutable    = filetype.Executable
	CodeScript        = filetype.IsScript
	CodeArchive       = filetype.Archive
	CodeInstaller     = filetype.Installer
	CodeMacros        = "file_macros"
	CodeActive        = "file_active_content"
	CodeHiddenArchive = "file_hidden_archive"
	CodeEncrypted     = "file_encrypted"
	CodeTruncated     = "file_truncated"
	CodePolyglot      = "file_polyglot"
	CodeContradicted  = "file_type_contradicted"
	CodeNotAllowed    = "file_type_not_allowed"
	CodeUnknown       = "file_type_unknown"
	CodeNameDeceptive = "file_name_deceptive"
	CodeCharset       = "file_charset"
	// CodeBeyond: what decides lies behind the bounds of reading.
	CodeBeyond = "file_beyond_limit"
	// CodeNotRead is no judgement of the file: the caller gave less of it than
	// it was asked for.
	CodeNotRead = "file_not_read"
)

// texts are all this package ever says, except the detected type.
var texts = map[string]string{
	CodeExecutable:    "the file is a program, or holds one, or has the name of one; send a document instead",
	CodeScript:        "the file is a script or has the name of one; send a document, or name a plain text .txt",
	CodeArchive:       "the file is an archive; send each file in it as a file of its own",
	CodeInstaller:     "the file is an installer or a software package; send a document instead",
	CodeMacros:        "the document holds macros or active controls; save it without them, or as PDF",
	CodeActive:        "the document holds scripts, entities or actions that start programs; save it without them, or as PDF",
	CodeHiddenArchive: "an archive is hidden inside or behind the file; save the document again without it",
	CodeEncrypted:     "the document is encrypted, and its readers may not be able to open it; save it without a password",
	CodeTruncated:     "the end of the file is missing; put the whole file into the store and send the job again",
	CodePolyglot:      "the file is of two types at once; save the document again as one of them",
	CodeContradicted:  "the declared type is not what the bytes are; correct content_type or leave it out",
	CodeNotAllowed:    "files of this type may not leave; send another type, or add it to the allowed types",
	CodeUnknown:       "the type of the file cannot be told from its bytes; send a type that is known",
	CodeNameDeceptive: "the file's name holds characters that hide its real ending; rename it",
	CodeCharset:       "the charset that content_type states is not known, or the bytes are no text in it; correct it or leave it out",
	CodeBeyond:        "what the document holds lies behind the part that is read; save it again with fewer parts, or as PDF",
	CodeNotRead:       "the part of the file that its rules need was not read; try again",
}

// waivable are the rules a Policy may turn off: those that stop a file for
// being of little use, not for being dangerous.
var waivable = []string{CodeEncrypted, CodeTruncated, CodeContradicted, CodeCharset}

// Package guard says whether a file may leave for a patient's chart, and as
// what type, before the first byte of it is sent.
//
// It is pure: it asks for parts of a file, within bounds that do not grow with
// the file, and knows its size, its names and what job and store say of its
// type. It is no virus scanner: what it does not see is listed in
// docs/content-guard.md.
package guard

import (
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/filetype"
)

// File is what is known of a file before it is sent.
type File struct {
	// Key names the file for machines: its last element has an ending. Titles are
	// free text for people. Both are patient data and never come back in an error.
	Key    string
	Titles []string
	// Job is the media type that the message or the job states, Store the
	// store's; "" where none is.
	Job, Store string
	// Size is that of the whole file, in bytes. An empty file is none of this
	// package's business.
	Size int64
	// Read gives parts of the file. It is called ReadsLimit times at most, for
	// ReadLimit bytes in all.
	Read Read
}

// Verdict is as what a file may leave.
type Verdict struct {
	// ContentType is bare and in lower case.
	ContentType string
	// Charset is the one that was stated for a text, or "".
	Charset string
	// Source is who said so.
	Source Source
}

// String gives the media type with its charset.
func (v Verdict) String() string { return statement{v.ContentType, v.Charset}.String() }

// Judge says as what f may leave. The error is one of f.Read, or a *fault.Fault
// without a Path: Permanent with one of this package's codes, or Retryable with
// CodeNotRead where f.Read gave less than it was asked for.
func (p Policy) Judge(f File) (Verdict, error) {
	v := newView(f)
	verdict, err := p.judge(v)
	if v.err != nil {
		return Verdict{}, v.err
	}
	return verdict, err
}

func (p Policy) judge(v *view) (Verdict, error) {
	if err := judgeNames(v.file); err != nil {
		return Verdict{}, err
	}
	v.open()
	detected := v.detect()
	if v.err != nil {
		return Verdict{}, v.err
	}
	if err := p.early(v, detected); err != nil {
		return Verdict{}, err
	}
	detected, err := p.late(v, detected)
	if err != nil {
		return Verdict{}, err
	}
	return p.settle(v, detected)
}

// early applies what key and head can tell.
func (p Policy) early(v *view, detected string) error {
	if err := judgeKey(v.file.Key, detected); err != nil {
		return err
	}
	if code := dangerOf(detected); code != "" && detected != zipType {
		return refuse(code, detected)
	}
	if detected == zipType || detected == oleType {
		return nil
	}
	_, err := p.settle(v, detected)
	return err
}

// late applies what the other parts of the file can tell.
func (p Policy) late(v *view, detected string) (string, error) {
	v.take(pads(detected))
	switch {
	case isZip(detected):
		return p.judgeZip(v, detected)
	case isOLE(detected):
		return p.judgeOLE(v, detected)
	}
	if v.hidesArchive(detected) {
		return "", refuse(CodeHiddenArchive, detected)
	}
	switch {
	case detected == pdfType:
		return detected, p.judgePDF(v)
	case isText(detected):
		return detected, p.judgeText(v, detected)
	}
	if p.holds(CodeTruncated) && imageCut(v, detected) {
		return "", refuse(CodeTruncated, detected)
	}
	return detected, nil
}

// pads reports whether zeros behind the end of a file of this type mean
// nothing. In recordings and pictures without an end mark they may be its data.
func pads(detected string) bool {
	switch detected {
	case pdfType, filetype.JPEG, filetype.PNG, filetype.GIF, filetype.WebP:
		return true
	}
	return isText(detected)
}

// settle brings what is stated and what was detected together, and holds the
// outcome to the list of allowed types. The job is believed where the bytes bear
// it out, the store where the bytes leave it open.
func (p Policy) settle(v *view, detected string) (Verdict, error) {
	if code := dangerOf(v.stated().name); code != "" && (detected == unknownType || isText(detected)) {
		return Verdict{}, refuse(code, "")
	}
	if detected == unknownType {
		return p.settleUnknown(v)
	}
	verdict := Verdict{ContentType: detected, Source: ByBytes}
	switch job, store := v.job.name, v.store.name; {
	case job != "" && fits(job, detected):
		if !containerOf(job, detected) {
			verdict = Verdict{ContentType: filetype.Registered(job), Source: ByJob}
		}
	case job != "" && p.holds(CodeContradicted):
		return Verdict{}, refuse(CodeContradicted, detected)
	case job == "" && store != "" && canonical(store) == canonical(detected):
		verdict.ContentType = filetype.Registered(store)
	case job == "" && store != "" && refines(store, detected):
		verdict = Verdict{ContentType: shown(filetype.Registered(store)), Source: ByStore}
	case detected == hl7Type:
		verdict.ContentType = textType // what nobody called HL7 v2
	}
	if v.job.name == "" && verdict.Source == ByBytes && isLoose(detected) && !p.allows(detected) {
		verdict.ContentType = textType
	}
	if !p.allows(verdict.ContentType) || !isText(detected) && !p.allows(detected) {
		return Verdict{}, refuse(CodeNotAllowed, canonical(verdict.ContentType))
	}
	var err error
	verdict.Charset, err = p.charsetOf(v, verdict, detected)
	return verdict, err
}

// charsetOf gives the charset that was stated for a text. The bytes are held to
// it later, by judgeText.
func (p Policy) charsetOf(v *view, verdict Verdict, detected string) (string, error) {
	if name := canonical(verdict.ContentType); !isText(detected) || name == jsonType || name == ndjsonType {
		return "", nil // JSON is UTF-8 (RFC 8259, 8.1)
	}
	said := v.stated().charset
	switch {
	case said == "", v.dropsCharset:
		return "", nil
	case charsets[said] != 0:
		return said, nil
	case v.job.charset != "" && p.holds(CodeCharset):
		return "", refuse(CodeCharset, "")
	}
	return "", nil
}

// settleUnknown is settle for bytes of no known type: no type that has a
// signature can be theirs.
func (p Policy) settleUnknown(v *view) (Verdict, error) {
	job, store := v.job.name, v.store.name
	switch {
	case !p.allows(unknownType):
		return Verdict{}, refuse(CodeUnknown, "")
	case job != "" && known(canonical(job)) && p.holds(CodeContradicted):
		return Verdict{}, refuse(CodeContradicted, "")
	case job != "" && !known(canonical(job)):
		return Verdict{ContentType: job, Source: ByJob}, nil
	case job == "" && store != "" && !known(canonical(store)):
		return Verdict{ContentType: shown(store), Source: ByStore}, nil
	}
	return Verdict{ContentType: unknownType, Source: ByBytes}, nil
}

func refuse(code, detected string) error {
	text := texts[code]
	if detected != "" && known(detected) {
		text += " (it is " + detected + ")"
	}
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: code, Text: text}
}

func notRead() error {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: CodeNotRead, Text: texts[CodeNotRead]}
}

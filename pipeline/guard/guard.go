// Package guard says whether a file may leave for a patient's chart, and as
// what type, before the first byte of it is sent.
//
// It is pure: it looks at the first bytes of a file, at one more range of it
// where a rule needs that, and at its size, its names and its declared type.
// It never looks inside compressed content, and it is no virus scanner: what
// it cannot see is listed in docs/content-guard.md.
package guard

import (
	"github.com/chartpost/chartpost/internal/fault"
)

const (
	// HeadSize is the number of first bytes of a file that Judge reads. It is
	// what the library of signatures reads at most.
	HeadSize = 4096
	// TailSize is the most bytes of a file that Judge reads beside its head. A
	// zip's end record lies within the last 65,557 bytes (APPNOTE 6.3.10,
	// 4.3.16: 22 bytes and a comment of up to 65,535).
	TailSize = 66 << 10
)

// File is what is known of a file before it is sent.
type File struct {
	// Names are those the file goes by: its title, its key, or their last
	// elements. They are patient data and never come back in an error.
	Names []string
	// Declared is the MIME type that somebody gave, or "".
	Declared string
	// Size is that of the whole file, in bytes. An empty file is none of this
	// package's business.
	Size int64
	// Head holds the first HeadSize bytes, or all of a smaller file. It may
	// hold more: a file that is here whole needs no Part.
	Head []byte
	// Part holds the bytes that Needs asked for.
	Part []byte
}

// Range names bytes of a file. A Range of no length asks for nothing.
type Range struct{ Offset, Length int64 }

// Needs says which bytes Judge wants in File.Part. It reads everything of f
// but Part. A file that its head condemns needs nothing more.
func (p Policy) Needs(f File) Range {
	v := newView(f)
	if v.whole() || v.short() {
		return Range{}
	}
	if _, err := p.early(v); err != nil {
		return Range{}
	}
	return v.range2()
}

// Judge gives the MIME type f may leave as: the declared one where the bytes
// bear it out, else the detected one. The error is a *fault.Fault without a
// Path: Permanent with one of this package's codes, or Retryable with
// CodeNotRead where f lacks bytes that Needs asked for.
func (p Policy) Judge(f File) (contentType string, err error) {
	v := newView(f)
	if v.short() {
		return "", notRead()
	}
	detected, err := p.early(v)
	if err != nil {
		return "", err
	}
	if !v.take() {
		return "", notRead()
	}
	if detected, err = p.late(v, detected); err != nil {
		return "", err
	}
	return p.settle(v, detected)
}

// early applies what names and head can tell.
func (p Policy) early(v *view) (detected string, err error) {
	if err := judgeNames(v.file.Names); err != nil {
		return "", err
	}
	detected = v.detect()
	if code := dangerOf(detected); code != "" && detected != zipType {
		return "", refuse(code, detected)
	}
	if detected == unknownType {
		if code := unknownByName(v.file.Names); code != "" {
			return "", refuse(code, "")
		}
	}
	if isText(detected) {
		if err := judgeTextNames(v.file.Names); err != nil {
			return "", err
		}
	}
	if detected == zipType || detected == oleType {
		return detected, nil
	}
	_, err = p.settle(v, detected)
	return detected, err
}

// late applies what the whole of the view can tell.
func (p Policy) late(v *view, detected string) (string, error) {
	switch {
	case isZip(detected):
		return p.judgeZip(v, detected)
	case isOLE(detected):
		return p.judgeOLE(v, detected)
	}
	if v.hidesArchive() {
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

// settle brings the declared and the detected type together and holds the
// outcome to the list of allowed types.
func (p Policy) settle(v *view, detected string) (string, error) {
	if code := dangerOf(canonical(v.declared)); code != "" && (detected == unknownType || isText(detected)) {
		return "", refuse(code, "")
	}
	if detected == unknownType {
		return p.settleUnknown(v)
	}
	leaves, fits := reconcile(v.declared, detected)
	if !fits && p.holds(CodeContradicted) {
		return "", refuse(CodeContradicted, detected)
	}
	if nothings[v.declared] && byHabit[detected] && !p.allows(detected) {
		leaves = textType
	}
	if !p.allows(leaves) || !isText(detected) && !p.allows(detected) {
		return "", refuse(CodeNotAllowed, canonical(leaves))
	}
	return leaves, nil
}

// settleUnknown is settle for bytes of no known type: no type that has a
// signature can be theirs.
func (p Policy) settleUnknown(v *view) (string, error) {
	switch {
	case !p.allows(unknownType):
		return "", refuse(CodeUnknown, "")
	case nothings[v.declared]:
		return unknownType, nil
	case known(canonical(v.declared)) && p.holds(CodeContradicted):
		return "", refuse(CodeContradicted, "")
	case known(canonical(v.declared)):
		return unknownType, nil
	}
	return v.declared, nil
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

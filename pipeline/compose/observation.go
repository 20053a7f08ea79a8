package compose

import "strings"

// observationStatuses are the codes of FHIR R4's required binding.
var observationStatuses = []string{
	"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
}

// valueAttachment holds the Attachment, in an extension or in the Observation.
const valueAttachment = "valueAttachment"

// observation builds the main resource of observation-create. It takes one
// file, since an Observation has one value: several files are several jobs.
func observation(b *bundle) []slot {
	checkCode(b.main.node, b.main.at, "status", observationStatuses, b.p)
	b.code()
	b.identifier()
	b.subject()
	b.encounter()
	place := b.settings.observationFile()
	if place == valueAttachment {
		return b.observationValue()
	}
	return b.observationExtension(place)
}

// observationValue puts the file where FHIR R5 has it. No second value may
// stand beside it (value[x] is 0..1).
func (b *bundle) observationValue() []slot {
	for _, m := range b.main.node.members {
		name := strings.TrimPrefix(m.key, "_")
		if strings.HasPrefix(name, "value") && m.key != valueAttachment {
			b.p.add(codeInvalid, b.main.at.key(m.key), "the file is the Observation's value, and it has one; leave this out")
		}
	}
	return one(attachmentIn(b.main.node, valueAttachment, b.main.at, b.p))
}

// observationExtension puts the file into the extension of that URL: the
// caller's own, which may say all but the file, or a new one.
func (b *bundle) observationExtension(url string) []slot {
	list, where := b.main.node.get("extension"), b.main.at.to("extension")
	if list == nil {
		list = array()
		b.main.node.add("extension", list)
	}
	if !list.is(kindArray) {
		b.p.add(codeInvalid, where, "extension must be an array")
		return nil
	}
	found := -1
	for i, e := range list.elems {
		if u, ok := e.get("url").text(); !ok || u != url {
			continue
		}
		if found >= 0 {
			b.p.add(codeContent, where.index(i), "the extension of the file stands here once; leave it out to have it built")
			return nil
		}
		found = i
	}
	if found < 0 {
		found = len(list.elems)
		list.elems = append(list.elems, object().with("url", text(url)))
	}
	e, here := list.elems[found], where.index(found)
	for _, m := range e.members {
		if name := strings.TrimPrefix(m.key, "_"); strings.HasPrefix(name, "value") && m.key != valueAttachment {
			b.p.add(codeInvalid, here.key(m.key), "this extension holds the file as its valueAttachment, and an extension has one value")
		}
	}
	return one(attachmentIn(e, valueAttachment, here, b.p))
}

func one(s slot, ok bool) []slot {
	if !ok {
		return nil
	}
	return []slot{s}
}

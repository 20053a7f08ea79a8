package guard

import (
	"mime"
	"regexp"
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// Source is who said as what type a file leaves.
type Source string

const (
	// ByJob: the message or the job states it, and the bytes bear it out.
	ByJob Source = "job"
	// ByBytes: nobody stated it, or the bytes say otherwise than the store.
	ByBytes Source = "bytes"
	// ByStore: the bytes are text, and the store says which.
	ByStore Source = "store"
)

// statement is what somebody says of a file's type.
type statement struct {
	// name is bare and in lower case; "" where nothing is said.
	name    string
	charset string
}

// state reads a media type. What says nothing, or is none of a registered
// top-level type (RFC 6838), is no statement.
func state(said string) statement {
	name, params, err := mime.ParseMediaType(said)
	if err != nil || !typeName.MatchString(name) || nothings[name] {
		return statement{}
	}
	return statement{name: name, charset: strings.ToLower(strings.TrimSpace(params["charset"]))}
}

// typeName also takes a name that HL7 used before RFC 6838.
var typeName = regexp.MustCompile(`^(application|applications|x-application|audio|font|image|message|model|multipart|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$`)

// nothings are types that say nothing of a file: what stores, browsers and
// gateways answer when nobody told them one.
var nothings = map[string]bool{
	filetype.Unknown: true, "binary/octet-stream": true, "application/binary": true, "application/unknown": true, "unknown/unknown": true,
	"application/x-unknown": true, "application/download": true, "application/x-download": true, "application/force-download": true,
	"application/x-www-form-urlencoded": true, "multipart/form-data": true, "application/x-octet-stream": true, "application/octetstream": true,
}

// Statement gives of several claims the first that says something, or "". The
// name is in lower case, with its charset and no other parameter: those may hold
// a file's name.
func Statement(claims ...string) string {
	for _, claim := range claims {
		if s := state(claim); s.name != "" {
			return s.String()
		}
	}
	return ""
}

func (s statement) String() string {
	if s.charset == "" {
		return s.name
	}
	return s.name + "; charset=" + s.charset
}

package guard

import (
	"bytes"
	"regexp"
)

// isMbox reports whether b starts as a mailbox: "From ", an address and a date
// (RFC 4155).
func isMbox(b []byte) bool {
	if !bytes.HasPrefix(b, []byte("From ")) {
		return false
	}
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	return mboxStart.Match(line[:min(len(line), 512)]) || bytes.Equal(bytes.TrimSpace(line), []byte("From -")) || isMail(rest)
}

var mboxStart = regexp.MustCompile(`^From \S+ .{0,40}\d\d:\d\d(?::\d\d)?.{0,24}\d{4}`)

// isMail reports whether b starts as a mail: a block of header fields (RFC
// 5322, 2.2), one of which only mail has, or sender and receiver with an
// address or a date.
func isMail(b []byte) bool {
	if line, rest, ok := bytes.Cut(b, []byte("\n")); ok && len(line) < 12 && digits(bytes.TrimSpace(line)) {
		b = rest // the size that a mail program of Apple puts before it
	}
	fields, sure, encoded := 0, false, false
	var seen [3]bool
	var at [2]bool // sender and receiver have an address
	for n := 0; n < 64; n++ {
		line, rest, more := bytes.Cut(b, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if fields == 0 {
				return false
			}
		} else {
			name := headerField.FindSubmatch(line[:min(len(line), 80)])
			if name == nil {
				if more || fields == 0 {
					break
				}
			} else {
				fields++
				encoded = encoded || encodedWord.Match(line)
				switch lower := string(bytes.ToLower(name[1])); {
				case mailFields[lower], mailPrefix.MatchString(lower):
					sure = true
				case lower == "from":
					seen[0], at[0] = true, bytes.IndexByte(line, '@') > 0
				case lower == "to", lower == "cc", lower == "bcc":
					seen[1], at[1] = true, bytes.IndexByte(line, '@') > 0
				case lower == "date":
					seen[2] = seen[2] || mailDate.Match(line)
				}
			}
		}
		if !more {
			break
		}
		b = rest
	}
	return encoded || fields >= 2 && (sure || seen[0] && seen[1] && (seen[2] || at[0] || at[1]))
}

var (
	headerField = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]{0,60})[ \t]{0,8}:`)
	mailDate    = regexp.MustCompile(`\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{2,4} \d\d:\d\d`)
	mailPrefix  = regexp.MustCompile(`^(?:arc-|x-(?:mailer|spam|google|ms-|originating|notes|received|mimeole|virus|gmail|forwarded|envelope|priority|msmail|uidl|mozilla)|list-(?:id|unsubscribe|post|help|archive)|resent-)`)
	// encodedWord is how mail has letters that are not ASCII in a field (RFC 2047).
	encodedWord = regexp.MustCompile(`=\?[A-Za-z0-9_-]+\?[BbQq]\?\S*\?=`)
	// mailFields are fields that only mail has.
	mailFields = map[string]bool{
		"received": true, "return-path": true, "delivered-to": true, "message-id": true, "mime-version": true, "dkim-signature": true,
		"domainkey-signature": true, "authentication-results": true, "received-spf": true, "in-reply-to": true, "references": true,
		"content-transfer-encoding": true, "envelope-to": true, "errors-to": true, "x-original-to": true, "thread-index": true, "thread-topic": true, "newsgroups": true,
	}
)

package redoxsim

import (
	"encoding/base64"
	"mime"
	"net/url"
	"strings"
)

// attachment checks one Attachment and keeps its file. Redox wants a valid
// contentType and exactly one of data and url.
func (b *bundleCheck) attachment(a object, at string) {
	contentType := text(a["contentType"])
	if !isMediaType(contentType) {
		b.add("attachment-content-type", at+"/contentType")
	}
	if created, given := a["creation"]; given && !isDateTime(created) {
		b.add("fhir-date-time", at+"/creation")
	}
	data, hasData := a["data"]
	link, hasURL := a["url"]
	var f File
	switch rule := ""; {
	case hasData == hasURL:
		b.add("attachment-data-or-url", at)
		return
	case hasData:
		var err error
		if f, err = b.doc.embedded(text(data)); err != nil {
			b.add("attachment-data-base64", at+"/data")
			return
		}
	default:
		if f, rule = b.s.named(text(link), b.client, b.m.Source); rule != "" {
			b.add(rule, at+"/url")
			return
		}
	}
	f.ContentType, f.Title = contentType, text(a["title"])
	if f.How != External {
		b.sizeAndHash(a, f, at)
	}
	b.m.Files = append(b.m.Files, f)
}

// sizeAndHash of an Attachment, when given, are those of the bytes. FHIR R4
// defines hash as SHA-1 in base64.
func (b *bundleCheck) sizeAndHash(a object, f File, at string) {
	if size, given := a["size"]; given {
		if n, ok := size.(float64); !ok || n != float64(f.Size) {
			b.add("attachment-size", at+"/size")
		}
	}
	if hash, given := a["hash"]; given && text(hash) != base64.StdEncoding.EncodeToString(f.sha1) {
		b.add("attachment-hash-sha1", at+"/hash")
	}
}

// named judges a URL in a file field. On the blob host only URLs issued here
// to the same client and source are believed; of other hosts nothing is known.
func (s *Server) named(link string, c *client, source string) (File, string) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return File{}, "file-url-https"
	}
	base, err := url.Parse(s.cfg.BlobBase)
	if err == nil && !strings.EqualFold(u.Host, base.Host) {
		return File{How: External, URL: link}, ""
	}
	up, ok := s.issued(link, c, source)
	if !ok {
		return File{}, "file-url-not-issued"
	}
	return File{Size: up.Body.Size, SHA256: up.Body.SHA256, How: Uploaded, URL: link, sha1: up.sha1, open: up.Body.Open}, ""
}

// isMediaType: type/subtype with optional parameters.
func isMediaType(text string) bool {
	media, _, err := mime.ParseMediaType(text)
	if err != nil {
		return false
	}
	kind, sub, ok := strings.Cut(media, "/")
	return ok && kind != "" && sub != "" && !strings.ContainsAny(media, "* ")
}

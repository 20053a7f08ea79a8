package redoxsim

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// multipartSlack is what a multipart request may add to its file.
const multipartSlack = 1 << 20

// nameSource finds the source a FHIR or Binary request speaks for: the header,
// or the only one the client has.
func (x *exchange) nameSource() *answer {
	named := x.r.Header.Values("Redox-source-Id")
	switch {
	case len(named) > 1:
		return refuseFHIR(http.StatusBadRequest, "source-header-repeated")
	case len(named) == 0 && len(x.client.sources) > 1:
		return refuseFHIR(http.StatusBadRequest, "source-header-missing")
	case len(named) == 0:
		x.source = x.client.sources[0]
		return nil
	}
	id, err := uuid.Parse(named[0])
	if err != nil || len(named[0]) != 36 {
		return refuseFHIR(http.StatusBadRequest, "source-header-uuid")
	}
	if x.source = id.String(); !slices.Contains(x.client.sources, x.source) {
		return refuseFHIR(http.StatusForbidden, "source-of-another-client")
	}
	return nil
}

// serveBinary is the FHIR upload: raw bytes in, a URL out.
func (s *Server) serveBinary(x *exchange) *answer {
	if !x.authorize() {
		return unauthorized()
	}
	if refused := x.nameSource(); refused != nil {
		return refused
	}
	contentType := x.r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case contentType != "" && (err != nil || !strings.Contains(media, "/")):
		return refuseFHIR(http.StatusBadRequest, "binary-content-type")
	case strings.HasPrefix(media, "multipart/"):
		return refuseFHIR(http.StatusUnsupportedMediaType, "binary-not-multipart")
	}
	if refused := x.lengthWithin(s.cfg.FileLimit); refused != nil {
		return refused
	}
	u, refused := x.takeUpload(x.body(s.cfg.FileLimit), contentType)
	if u == nil {
		return refused
	}
	a := jsonAnswer(http.StatusCreated, object{"location": u.URL})
	a.header = map[string]string{"Location": u.URL}
	a.location = u.URL
	return a
}

// lengthWithin judges a request by its header alone, before the body.
func (x *exchange) lengthWithin(limit int64) *answer {
	switch n := x.r.ContentLength; {
	case x.r.Header.Get("Content-Encoding") != "":
		return refuseFHIR(http.StatusUnsupportedMediaType, "content-encoding")
	case n < 0:
		return refuseFHIR(http.StatusLengthRequired, "content-length")
	case n == 0:
		return refuseFHIR(http.StatusBadRequest, "body-empty")
	case n > limit:
		return refuseFHIR(http.StatusRequestEntityTooLarge, "too-large")
	}
	return nil
}

// takeUpload keeps a file and gives it a URL. Without an upload the answer
// says why; both are nil when the connection is gone.
func (x *exchange) takeUpload(r io.Reader, contentType string) (*Upload, *answer) {
	s := x.s
	started := x.log.Start
	sums := newDigests()
	body, err := s.spool.take(r, "upload", sums)
	if err != nil {
		return nil, x.broken(err, refuseFHIR(http.StatusRequestEntityTooLarge, "too-large"))
	}
	if !x.afterBody() {
		body.drop()
		return nil, nil
	}
	u := &Upload{
		ContentType: contentType, Client: x.client.id, Source: x.source,
		Started: started, Finished: s.cfg.Now(), From: x.r.RemoteAddr, Body: body, sha1: sums.sha1.Sum(nil),
	}
	s.keepUpload(u)
	return u, nil
}

func (s *Server) keepUpload(u *Upload) {
	u.URL = s.cfg.BlobBase + "/" + uuid.NewString()
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Seq = len(s.uploads) + 1
	s.uploads[u.URL] = u
	s.announce()
}

// serveMultipart is the Data Model upload.
func (s *Server) serveMultipart(x *exchange) *answer {
	if !x.authorize() {
		return unauthorized()
	}
	if len(x.client.sources) == 1 {
		x.source = x.client.sources[0]
	}
	media, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return refuseFHIR(http.StatusUnsupportedMediaType, "upload-multipart")
	}
	if refused := x.lengthWithin(s.cfg.FileLimit + multipartSlack); refused != nil {
		return refused
	}
	u, refused := x.takePart(multipart.NewReader(x.body(s.cfg.FileLimit+multipartSlack), params["boundary"]))
	if u == nil {
		return refused
	}
	a := jsonAnswer(http.StatusCreated, object{"URI": u.URL})
	a.location, a.uri = u.URL, true
	return a
}

// takePart expects exactly one part, named file, with a file name and a type.
func (x *exchange) takePart(form *multipart.Reader) (*Upload, *answer) {
	malformed := refuseFHIR(http.StatusBadRequest, "upload-multipart-malformed")
	part, err := form.NextRawPart()
	if err != nil {
		if errors.Is(err, errEnded) {
			return nil, nil
		}
		return nil, malformed
	}
	name, contentType := part.FileName(), part.Header.Get("Content-Type")
	if part.FormName() != "file" || name == "" || contentType == "" {
		return nil, refuseFHIR(http.StatusBadRequest, "upload-part-file")
	}
	sums := newDigests()
	body, err := x.s.spool.take(&limited{r: part, left: x.s.cfg.FileLimit}, "upload", sums)
	if err != nil {
		return nil, x.broken(err, refuseFHIR(http.StatusRequestEntityTooLarge, "too-large"))
	}
	if _, err = form.NextRawPart(); !errors.Is(err, io.EOF) {
		body.drop()
		if errors.Is(err, errEnded) {
			return nil, nil
		}
		return nil, malformed
	}
	if body.Size == 0 {
		return nil, refuseFHIR(http.StatusBadRequest, "body-empty")
	}
	if !x.afterBody() {
		body.drop()
		return nil, nil
	}
	u := &Upload{
		ContentType: contentType, FileName: name, Client: x.client.id, Source: x.source,
		Started: x.log.Start, Finished: x.s.cfg.Now(), From: x.r.RemoteAddr, Body: body, sha1: sums.sha1.Sum(nil),
	}
	x.s.keepUpload(u)
	return u, nil
}

// limited ends with errTooLarge instead of a silent EOF.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// issued finds an upload that this client and source may name.
func (s *Server) issued(url string, c *client, source string) (*Upload, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[url]
	return u, ok && u.Client == c.id && (u.Source == "" || u.Source == source)
}

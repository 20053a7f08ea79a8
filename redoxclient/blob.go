package redoxclient

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxFileName bounds a file name, in bytes before it is escaped.
const maxFileName = 1024

// BlobRequest is one file for the Data Model API.
type BlobRequest struct {
	// SourceID is the UUID of the Redox source. Redox asks for it at the FHIR
	// upload alone; that it does no harm here is our inference. Empty sends no
	// header.
	SourceID string
	// FileName is the file's name, 1 to 1,024 bytes. It counts as patient data
	// and is part of no error.
	FileName string
	// ContentType is the file's media type.
	ContentType string
	// Body is the raw file, 30 MB at most by Redox's documentation. It travels
	// inside a form, whose exact length is known before the first byte.
	Body Body
}

// UploadBlob stores one file for a Data Model message, whose FileContents or
// Value then names the URL. As with Upload every error is an *Error and never
// of the kind UnknownOutcome.
func (c *Client) UploadBlob(ctx context.Context, r BlobRequest) (*Upload, error) {
	header, err := requestHeader(r.SourceID, r.ContentType, r.Body)
	switch {
	case err != nil:
	case c.blobBase == nil:
		err = errors.New("no BlobURL is configured beside this APIURL")
	case r.FileName == "":
		err = errors.New("the file name is empty")
	case len(r.FileName) > maxFileName:
		err = errors.New("the file name is too long")
	}
	if err != nil {
		return nil, invalid(OpUploadBlob, err)
	}
	form := newForm(rand.Text(), r.FileName, r.ContentType)
	header.Set("Content-Type", form.contentType())
	ans, err := c.store(ctx, call{
		op: OpUploadBlob, url: c.blobBase.JoinPath("upload"), header: header, body: form.around(r.Body),
	})
	if err != nil {
		return nil, err
	}
	return c.blobStored(ans)
}

// blobStored takes the URL from the body's "URI", as Redox documents, in
// another spelling, or from the Location header. A body that could not be read
// whole is not worked around: the next try costs less than a wrong URL. One of
// no bytes cannot contradict the header, however it ended.
func (c *Client) blobStored(ans *answer) (*Upload, error) {
	header := ans.header.Get("Location")
	if ans.readErr != nil && (header == "" || !errors.Is(ans.readErr, errNoEnd)) {
		return nil, c.unreadError(OpUploadBlob, ans)
	}
	raw, v := cmp.Or(bodyURI(ans.body), header), parseAnswer(ans.body)
	switch {
	case raw != "":
	case v.refused:
		return nil, c.fileRefused(OpUploadBlob, ans, v)
	case v.empty, v.unreadable != nil:
		// The body is the only place of the URL. One that is no JSON at all
		// was written by something on the way, which may pass.
		return nil, c.replyError(OpUploadBlob, ans, Retryable, CodeAnswerUnreadable, v.unreadable)
	}
	return c.named(OpUploadBlob, ans, raw)
}

func bodyURI(body []byte) string {
	var named struct {
		URI   jsontext.Value `json:"URI"`
		Lower jsontext.Value `json:"uri"`
	}
	if json.Unmarshal(body, &named, tolerant) != nil {
		return ""
	}
	return cmp.Or(text(named.URI), text(named.Lower))
}

package redoxclient

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// form is a multipart/form-data body of one part named "file" (RFC 7578). The
// boundary is made of letters and digits that nobody can foresee, so that no
// file can hold it on purpose.
type form struct{ boundary, head, tail string }

func newForm(boundary, fileName, contentType string) form {
	return form{
		boundary: boundary,
		head: fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
			boundary, escapeFileName(fileName), contentType),
		tail: "\r\n--" + boundary + "--\r\n",
	}
}

func (f form) contentType() string { return "multipart/form-data; boundary=" + f.boundary }

// around is the form with file inside. The file is held to its own size, so
// that a SizeError speaks of the file and the form's end never follows a file
// that was cut off.
func (f form) around(file Body) Body {
	open := func(ctx context.Context) (io.ReadCloser, error) {
		src, err := file.Open(ctx)
		if err != nil || src == nil {
			return nil, err
		}
		inner := &stream{src: src, size: file.Size, moved: func(bool) {}}
		return formReader{io.MultiReader(strings.NewReader(f.head), inner, strings.NewReader(f.tail)), inner}, nil
	}
	return Body{Size: int64(len(f.head)) + file.Size + int64(len(f.tail)), Open: open, PermittedAt: file.PermittedAt}
}

type formReader struct {
	io.Reader
	io.Closer
}

// escapeFileName makes a name fit for a quoted parameter of a header: it is
// percent-encoded where it is not plain ASCII, as RFC 7578 (sections 2 and 4.2)
// has it; "filename*" is ruled out there. Beyond that the encoding covers what
// ends or escapes a quoted string, what could be read as a path, and "%"
// itself, so that decoding always gives the name back.
func escapeFileName(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c >= 0x7f || strings.IndexByte(`"\/%`, c) >= 0 {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

package redoxsim

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

var (
	errNotObject = errors.New("redoxsim: the body is not a JSON object")
	errLongName  = errors.New("redoxsim: an object name is too long")
)

// document is a parsed message whose long strings are still on disk.
type document struct {
	root   object
	body   Body
	prefix string
	spans  []span
	// read marks the spans already checked.
	read []bool
}

// parse reads the kept body strictly: valid UTF-8, no repeated names, nothing
// after the value.
func (s *Server) parse(body Body) (*document, error) {
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := &document{body: body, prefix: "lifted-" + uuid.NewString() + "-"}
	skeleton, spans, err := lift(r, d.prefix, longString)
	if err != nil {
		return nil, err
	}
	d.spans, d.read = spans, make([]bool, len(spans))
	var root any
	if err := json.Unmarshal(skeleton, &root); err != nil {
		return nil, err
	}
	var ok bool
	if d.root, ok = root.(object); !ok {
		return nil, errNotObject
	}
	return d, d.namesShort(d.root)
}

func (d *document) namesShort(v any) error {
	switch v := v.(type) {
	case object:
		for name, member := range v {
			if strings.HasPrefix(name, d.prefix) {
				return errLongName
			}
			if err := d.namesShort(member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := d.namesShort(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// span finds the place of a long string.
func (d *document) span(text string) (int, bool) {
	number, ok := strings.CutPrefix(text, d.prefix)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(number)
	return i, err == nil && i >= 0 && i < len(d.spans)
}

// embedded decodes base64 text of the message, wherever it is.
func (d *document) embedded(text string) (File, error) {
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(decodeBase64(strings.NewReader(text))), nil
	}
	if i, ok := d.span(text); ok {
		d.read[i] = true
		open = func() (io.ReadCloser, error) {
			r, err := d.body.section(d.spans[i].from, d.spans[i].size)
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{decodeBase64(r), r}, nil
		}
	}
	r, err := open()
	if err != nil {
		return File{}, err
	}
	defer r.Close()
	sums := newDigests()
	if _, err := io.Copy(sums, r); err != nil {
		return File{}, errBase64
	}
	if sums.size == 0 {
		return File{}, errBase64
	}
	return File{Size: sums.size, SHA256: sums.hex(), How: Embedded, sha1: sums.sha1.Sum(nil), open: open}, nil
}

// plain is text of the message that is not base64.
func (d *document) plain(text string) (File, error) {
	if i, ok := d.span(text); ok {
		full, err := d.body.validString(d.spans[i])
		if err != nil {
			return File{}, err
		}
		d.read[i], text = true, full
	}
	sums := newDigests()
	_, _ = sums.Write([]byte(text))
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(text))), nil }
	return File{Size: sums.size, SHA256: sums.hex(), How: Text, open: open}, nil
}

// restValid checks the long strings nobody has read as a file.
func (d *document) restValid() bool {
	for i, sp := range d.spans {
		if d.read[i] {
			continue
		}
		if _, err := d.body.validString(sp); err != nil {
			return false
		}
	}
	return true
}

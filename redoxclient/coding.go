package redoxclient

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
)

// errCoding is of a body that is not coded as its header says.
var errCoding = errors.New("the answer's body does not have the coding that its header names")

// readAnswer reads a body of at most limit bytes, as it comes and decoded. No
// request asks for a coding, but a proxy between may apply one all the same, and
// an answer that cannot be read leaves the outcome of a message unknown. gzip
// and deflate are decoded; a body of another coding is given as it came.
//
// A longer body is cut at limit and gives errTooLong.
func readAnswer(h http.Header, r io.Reader, limit int64) ([]byte, error) {
	raw := &io.LimitedReader{R: r, N: limit + 1}
	decoded, err := decoding(h.Get("Content-Encoding"), raw)
	if err != nil {
		return nil, cutShort(raw, err)
	}
	body, err := io.ReadAll(io.LimitReader(decoded, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], errTooLong
	}
	return body, cutShort(raw, err)
}

// cutShort is err, unless it comes from the end of what may be read: a coding
// can take any number of bytes to say nothing.
func cutShort(raw *io.LimitedReader, err error) error {
	if err != nil && raw.N <= 0 {
		return errTooLong
	}
	return err
}

// decoding undoes a coding (RFC 9110, 8.4.1). A body of no bytes has none.
func decoding(coding string, r io.Reader) (io.Reader, error) {
	var undo func(io.Reader) (io.Reader, error)
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "gzip", "x-gzip":
		undo = func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }
	case "deflate":
		undo = func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }
	default:
		return r, nil
	}
	coded := bufio.NewReader(r)
	if _, err := coded.Peek(1); err != nil {
		return coded, nil
	}
	decoded, err := undo(coded)
	if err != nil {
		return nil, codingError(err)
	}
	return codingErrors{decoded}, nil
}

// codingErrors names what a decoder says of bytes that do not fit.
type codingErrors struct{ r io.Reader }

func (c codingErrors) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	return n, codingError(err)
}

func codingError(err error) error {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary):
		return errors.Join(errCoding, err)
	}
	if _, ok := errors.AsType[flate.CorruptInputError](err); ok {
		return errors.Join(errCoding, err)
	}
	return err
}

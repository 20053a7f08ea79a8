package pipeline

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

func hexSum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// hashing opens data, announced with size bytes, as file 3 of a job.
func hashing(r io.Reader, size int64, transfer schemas.Transfer, want string, done func(sums)) *hashedFile {
	return &hashedFile{
		body: io.NopCloser(r), unhook: func() bool { return true }, index: 3, left: size,
		sum: newSums(transfer), want: want, done: done,
	}
}

// chunked are ways the same bytes can come.
var chunked = map[string]func([]byte) io.Reader{
	"at once":              func(b []byte) io.Reader { return bytes.NewReader(b) },
	"byte by byte":         func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
	"in halves":            func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
	"the end with the end": func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
	"with empty reads":     func(b []byte) io.Reader { return &stuttering{r: bytes.NewReader(b)} },
}

// stuttering yields nothing every other time.
type stuttering struct {
	r  io.Reader
	on bool
}

func (s *stuttering) Read(p []byte) (int, error) {
	if s.on = !s.on; s.on {
		return 0, nil
	}
	return s.r.Read(p[:min(len(p), 7)])
}

// TestHashedFile: however the bytes are cut, all come, and the digests are
// those of all.
func TestHashedFile(t *testing.T) {
	for name, cut := range chunked {
		for _, size := range []int{1, 2, 64, 511, 512, 513, 100_000} {
			data := bytes.Repeat([]byte("chart"), size/5+1)[:size]
			calls := 0
			var got sums
			h := hashing(cut(data), int64(size), schemas.Upload, hexSum(data), func(s sums) { calls++; got = s })
			read, err := io.ReadAll(h)
			if err != nil || !bytes.Equal(read, data) {
				t.Fatalf("%s, %d bytes: %d came, %v", name, size, len(read), err)
			}
			want := sha1.Sum(data)
			if calls != 1 || got.sha256() != hexSum(data) || !bytes.Equal(got.sha1(), want[:]) {
				t.Errorf("%s, %d bytes: told %d times of %s %x", name, size, calls, got.sha256(), got.sha1())
			}
		}
	}
}

// TestHashedFileMismatch: the bytes of a wrong file never come whole.
func TestHashedFileMismatch(t *testing.T) {
	for name, cut := range chunked {
		for _, size := range []int{1, 2, 513, 100_000} {
			data := bytes.Repeat([]byte("x"), size)
			h := hashing(cut(data), int64(size), schemas.Embed, hexSum([]byte("another")), func(sums) { t.Errorf("%s: told of a wrong file's digest", name) })
			read, err := io.ReadAll(h)
			f, ok := errors.AsType[*fault.Fault](err)
			if !ok || f.Code != "file_hash_mismatch" || f.Kind != fault.Permanent || f.Path != "/files/3" {
				t.Errorf("%s, %d bytes: %v, want file_hash_mismatch", name, size, err)
			}
			if len(read) >= size {
				t.Errorf("%s: all %d bytes of a wrong file came", name, size)
			}
		}
	}
}

// TestHashedFileWrongSize: a longer file never passes for the one announced, and
// a shorter one never has a digest.
func TestHashedFileWrongSize(t *testing.T) {
	never := func(sums) { t.Error("told of the digest of a file of the wrong size") }
	data := bytes.Repeat([]byte("x"), 1000)
	read, err := io.ReadAll(hashing(bytes.NewReader(data), 400, schemas.Upload, "", never))
	if f := fault.Of(err); err == nil || f.Code != "file_size" || f.Path != "/files/3" || len(read) >= 400 {
		t.Errorf("a longer file: %d bytes, %v", len(read), err)
	}
	if read, _ := io.ReadAll(hashing(bytes.NewReader(data), 1001, schemas.Upload, hexSum(data), never)); len(read) != 1000 {
		t.Errorf("a shorter file: %d bytes", len(read))
	}
}

// TestHashedFileFaults: a fault of the source comes through with the file's
// place, and its end as it is.
func TestHashedFileFaults(t *testing.T) {
	cause := &fault.Fault{Kind: fault.Retryable, Scope: fault.Store, Code: "s3_stalled"}
	h := hashing(iotest.ErrReader(cause), 10, schemas.Upload, "", func(sums) {})
	_, err := h.Read(make([]byte, 10))
	if f := fault.Of(err); f.Code != "s3_stalled" || f.Path != "/files/3" || cause.Path != "" {
		t.Errorf("%+v, want the source's fault at /files/3 (and the original untouched: %q)", f, cause.Path)
	}
	if newSums(schemas.Embed).sha1() != nil {
		t.Error("SHA-1 was taken of an embedded file")
	}
}

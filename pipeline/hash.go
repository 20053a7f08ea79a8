package pipeline

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"io"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// sums are the digests taken while a file streams. SHA-256 goes to ledger and
// events. SHA-1 is what FHIR R4 wants in Attachment.hash; it is taken only for
// an upload, the one transfer where it is known before the message is built.
type sums struct {
	strong, fhir hash.Hash
}

func newSums(t schemas.Transfer) sums {
	s := sums{strong: sha256.New()}
	if t == schemas.Upload {
		s.fhir = sha1.New()
	}
	return s
}

func (s sums) write(p []byte) {
	s.strong.Write(p)
	if s.fhir != nil {
		s.fhir.Write(p)
	}
}

func (s sums) sha256() string { return hexOf(s.strong.Sum(nil)) }

func (s sums) sha1() []byte {
	if s.fhir == nil {
		return nil
	}
	return s.fhir.Sum(nil)
}

// hashedFile hashes a file as it is read. The last bytes are handed on only
// when the digest is the one the job demands: a file that is not the right one
// never arrives whole.
type hashedFile struct {
	body io.ReadCloser
	// unhook lets the context of the reading go.
	unhook func() bool
	index  int
	// left counts the bytes still to come.
	left int64
	sum  sums
	want string
	done func(sums)
}

func (h *hashedFile) Read(p []byte) (int, error) {
	n, err := h.body.Read(p)
	h.sum.write(p[:n])
	h.left -= int64(n)
	if h.left < 0 {
		return 0, at(h.index, &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "file_size",
			Text: "the file is longer than announced; the next try reads it again"})
	}
	if n > 0 && h.left == 0 {
		if h.want != "" && h.want != h.sum.sha256() {
			return 0, at(h.index, &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_hash_mismatch",
				Text: "the SHA-256 of the object is not the one the job names"})
		}
		h.done(h.sum)
	}
	if err != nil && err != io.EOF {
		err = at(h.index, err)
	}
	return n, err
}

func (h *hashedFile) Close() error {
	h.unhook()
	return h.body.Close()
}

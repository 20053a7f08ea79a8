package intake

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// Store keeps the files of callers. Its errors are *fault.Fault.
type Store interface {
	// Store writes a file of a known size while it is read; it is read once.
	Store(ctx context.Context, file schemas.File, body io.Reader, size int64) (job.Pin, error)
	// Part reads a part of what was stored.
	Part(ctx context.Context, file schemas.File, pin job.Pin, offset, length int64) ([]byte, error)
	// Remove removes what was stored.
	Remove(ctx context.Context, file schemas.File, pin job.Pin) error
}

// Uploads takes files of callers into the store.
type Uploads struct {
	store Store
	guard guard.Policy
	limit int64
	now   func() time.Time
}

// NewUploads makes Uploads. limit is the largest file, in bytes, and policy the worker's.
func NewUploads(store Store, policy guard.Policy, limit int64, now func() time.Time) *Uploads {
	return &Uploads{store: store, guard: policy, limit: limit, now: now}
}

// Limit is the largest file, in bytes.
func (u *Uploads) Limit() int64 { return u.limit }

// Upload is one file of a caller.
type Upload struct {
	Grant Grant
	// Name is the file's own; it becomes the title, and its ending that of the key.
	Name string
	// ContentType is what the caller says of the type; what says nothing, such as the type
	// that curl writes by itself, counts as none. SHA256, 64 hex digits, is compared where it is set.
	ContentType, SHA256 string
	// Size is in bytes; Body yields as many.
	Size int64
	Body io.Reader
}

// Take streams a file into the caller's folder, lets the content guard judge its bytes, and
// gives the entry of "files" that names it in a job. A file that may not leave is removed
// again. The error is a *Refusal, or what Body failed with.
func (u *Uploads) Take(ctx context.Context, up Upload) (schemas.File, error) {
	file, err := u.admit(up)
	if err != nil {
		return schemas.File{}, err
	}
	body := &summed{from: up.Body, hash: sha256.New()}
	pin, err := u.store.Store(ctx, file, body, up.Size)
	switch {
	case body.err != nil: // the caller's end of it
		u.removeBroken(ctx, file)
		return schemas.File{}, body.err
	case err != nil:
		u.remove(ctx, file, job.Pin{})
		return schemas.File{}, storeRefusal(err)
	}
	sum := hex.EncodeToString(body.hash.Sum(nil))
	if up.SHA256 != "" && up.SHA256 != sum {
		err = fileProblem("file_hash_mismatch", "the SHA-256 of the bytes that came is not the one that was named")
	} else {
		err = u.judge(ctx, file, pin)
	}
	if err != nil {
		u.remove(ctx, file, pin)
		return schemas.File{}, err
	}
	file.ETag, file.VersionID, file.SHA256 = pin.ETag, pin.VersionID, sum
	return file, nil
}

func (u *Uploads) judge(ctx context.Context, file schemas.File, pin job.Pin) error {
	_, err := u.guard.Judge(guard.File{
		Key: file.Key, Titles: []string{file.Title}, Job: file.ContentType, Size: pin.Size,
		Read: func(offset, length int64) ([]byte, error) { return u.store.Part(ctx, file, pin, offset, length) },
	})
	if err == nil {
		return nil
	}
	f := fault.Of(err)
	if f.Kind != fault.Permanent {
		return storeRefusal(err)
	}
	return fileProblem(f.Code, f.Text)
}

// removeTime bounds the removal of a file that was refused.
const removeTime = 10 * time.Second

// remove is a courtesy: nothing names the file, and whoever has the folder may clear it.
func (u *Uploads) remove(ctx context.Context, file schemas.File, pin job.Pin) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	_ = u.store.Remove(ctx, file, pin)
}

// brokenPause is how long a store may take to notice that a file has ended too early.
const brokenPause = time.Second

// removeBroken removes what a store has made of a file that was cut off. Some stores keep
// the part that came (versitygw 1.x, seen with a body without a signature), and may do so
// only a moment later.
func (u *Uploads) removeBroken(ctx context.Context, file schemas.File) {
	ctx = context.WithoutCancel(ctx)
	u.remove(ctx, file, job.Pin{})
	sleep(ctx, brokenPause)
	u.remove(ctx, file, job.Pin{})
}

var (
	ending = regexp.MustCompile(`^\.[A-Za-z0-9]{1,8}$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// admit refuses what can be refused before the first byte is read, and names the file. The
// key holds nothing of the caller's but an ending.
func (u *Uploads) admit(up Upload) (schemas.File, error) {
	bucket, prefix, _ := strings.Cut(up.Grant.Folder, "/")
	switch {
	case up.Grant.Folder == "":
		return schemas.File{}, &Refusal{Kind: Forbidden, Code: "uploads_off", Detail: "this server takes no files: put the file into a bucket that your jobs may name"}
	case up.Size == 0:
		return schemas.File{}, fileProblem("file_empty", "the file has no bytes")
	case up.Size > u.limit:
		return schemas.File{}, &Refusal{Kind: TooLarge, Code: "file_too_large", Detail: fmt.Sprintf("a file has at most %d bytes", u.limit)}
	case up.SHA256 != "" && !digest.MatchString(up.SHA256):
		return schemas.File{}, fileProblem("sha256_invalid", "sha256 must be 64 lower-case hex digits")
	case !titled(up.Name):
		return schemas.File{}, fileProblem("name_invalid", "name must be up to 255 characters of UTF-8, none of them a slash, a backslash or a control character")
	}
	end := path.Ext(up.Name)
	if !ending.MatchString(end) {
		end = ""
	}
	key := prefix + u.now().UTC().Format("2006/01/02/") + strings.ToLower(rand.Text()) + strings.ToLower(end)
	return schemas.File{Bucket: bucket, Key: key, Title: up.Name, ContentType: guard.Statement(up.ContentType)}, nil
}

func titled(name string) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) <= 255 &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '/' || r == '\\' })
}

func fileProblem(code, detail string) *Refusal {
	return &Refusal{Kind: Invalid, Code: code, Detail: detail}
}

func storeRefusal(err error) error {
	return unavailable(fault.Of(err).Code, "the object store did not take the file; send it again", err)
}

// summed hashes what it hands on, and remembers how the reading failed.
type summed struct {
	from io.Reader
	hash hash.Hash
	err  error
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.hash.Write(p[:n])
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

package job

import (
	"strings"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// Pin names the exact bytes of a file, so that a later try sends the same ones.
type Pin struct {
	// VersionID is set where the bucket keeps versions, else ETag alone pins.
	VersionID string `json:"version_id,omitempty"`
	// ETag is S3's entity tag with its quotes. It is compared, never computed:
	// it is no MD5 for multipart or KMS-encrypted objects.
	ETag string `json:"etag,omitempty"`
	// Size is in bytes.
	Size int64 `json:"size"`

	Unknown versioned.Unknown `json:",embed"`
}

// FileRecord is what is known of the job's file at the same index.
type FileRecord struct {
	// Pin is the exact object that was read first.
	Pin *Pin `json:"pin,omitempty"`
	// ContentType is as what the file leaves. The ledger never has a name that the
	// caller may have made up, but the one it falls under.
	ContentType string `json:"content_type,omitempty"`
	// OwnType says that ContentType is not the name the file leaves as: that is
	// the caller's own, and in the job.
	OwnType bool `json:"own_type,omitempty"`
	// Charset is the one that was stated for a text, a name that many know.
	Charset string `json:"charset,omitempty"`
	// TypeSource says who said as what the file leaves: job, bytes or store.
	TypeSource string           `json:"type_source,omitempty"`
	Transfer   schemas.Transfer `json:"transfer,omitempty"`
	SHA256     string           `json:"sha256,omitempty"`
	SHA1       []byte           `json:"sha1,omitempty"`
	// URL names the file at Redox once it is uploaded.
	URL string `json:"url,omitempty"`

	Unknown versioned.Unknown `json:",embed"`
}

// MarshalJSON keeps what a caller may have made up out of the ledger.
func (f FileRecord) MarshalJSON() ([]byte, error) {
	type plain FileRecord
	told := plain(f)
	told.ContentType = guard.Shown(f.ContentType)
	told.OwnType = f.OwnType || told.ContentType != f.ContentType
	return versioned.Encode(told)
}

// Recall puts said, what the caller says of the file's type, back into a record
// from the ledger, so that every try sends the same.
func (f *FileRecord) Recall(said string) {
	if name, _, _ := strings.Cut(said, ";"); f.OwnType && name != "" {
		f.ContentType, f.OwnType = name, false
	}
}

// MediaType is the type with its charset.
func (f *FileRecord) MediaType() string {
	return guard.Verdict{ContentType: f.ContentType, Charset: f.Charset}.String()
}

// Expect makes room for what is learned of the job's files.
func (r *Record) Expect(files int) {
	if len(r.Files) != files {
		r.Files = make([]FileRecord, files)
	}
}

// Travel says how the files travel.
func (r *Record) Travel(by schemas.Transfer) {
	for i := range r.Files {
		r.Files[i].Transfer = by
	}
}

// UploadInstead says that Redox found the message with its embedded files too large.
func (r *Record) UploadInstead() { r.NoEmbed = true }

// Judged notes which object the file is, and as what it leaves.
func (f *FileRecord) Judged(pin Pin, v guard.Verdict) {
	f.Pin, f.ContentType, f.Charset, f.TypeSource = &pin, v.ContentType, v.Charset, string(v.Source)
}

// Hashed notes the digests of the file's bytes. sha1 is nil where none was taken.
func (f *FileRecord) Hashed(sha256 string, sha1 []byte) { f.SHA256, f.SHA1 = sha256, sha1 }

// Uploaded notes the URL that names the file at Redox.
func (f *FileRecord) Uploaded(url string) { f.URL = url }

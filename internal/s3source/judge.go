package s3source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/chartpost/chartpost/internal/fault"
)

// verdict is what an answer of the store means for the job.
type verdict struct {
	kind  fault.Kind
	scope fault.Scope
	code  string
	text  string
	// own: it may be for this worker's own credentials, endpoint or region.
	own bool
}

// The verdicts on a file: the job can never succeed as it stands.
var (
	fileMissing    = ofFile("file_missing", "S3 has no such object; it was never there, or it was deleted")
	bucketMissing  = ofWorker("bucket_missing", "S3 has no such bucket")
	fileChanged    = ofFile("file_changed", "the object is not the one the job named or first read; it was replaced, or that version is gone")
	versionInvalid = ofFile("version_invalid", "S3 does not take the version_id for one of its own")
	fileArchived   = ofFile("file_archived", "the object is archived; restore it before the job is sent again")
	fileUnpinned   = ofFile("file_unpinned", "the store gives the object neither a version nor a strong ETag, so a later read may have other bytes; put the object there through the S3 API, not by a copy into the server's folder")
	keyInvalid     = ofFile("key_invalid", "a key must not hold a zero byte, nor . or .. between slashes; give the object another key")
	notAllowed     = ofFile("bucket_not_allowed", "jobs may not name this bucket or prefix; it is not among the allowed buckets")
	fileForbidden  = ofWorker("file_forbidden", "S3 does not let us read the object; s3:GetObject is needed, s3:GetObjectVersion in buckets that keep versions, "+
		"and kms:Decrypt on the key of an object that AWS KMS encrypts: S3 does not say which is missing; "+
		"without s3:ListBucket AWS says the same of an object that does not exist")
	keyMissing = ofFile("file_encrypted_by_store", "S3 does not give the object out to a plain read; most likely it was stored with a key of its owner's own (SSE-C), "+
		"which Chartpost never has; store it with SSE-S3 or SSE-KMS")
	keyUnusable   = ofFile("file_key_unusable", "the KMS key of the object is disabled, deleted, or not one that encrypts; enable or restore it before the job is sent again")
	rejected      = ofFile("s3_rejected", "S3 takes no such request, now or later; see its error code, and what is between the worker and the store")
	putForbidden  = ofFile("put_forbidden", "S3 does not let us store the object; s3:PutObject is needed, and kms:GenerateDataKey where AWS KMS encrypts the bucket")
	listForbidden = ofFile("list_forbidden", "S3 takes our credentials, but does not let us list; s3:ListBucket is not needed to read files, but without it a missing file looks like a forbidden one")
	fileExists    = ofFile("file_exists", "there is an object of this key already")
)

// The verdicts on the store: every job meets them, and waits.
var (
	credentials = ofStore("s3_credentials", "S3 does not take our credentials, or there are none; see the worker's AWS configuration")
	wrongRegion = ofStore("s3_region", "the bucket is in another region, or the endpoint is not the store's and redirects us, which is not followed; see the worker's S3 region and endpoint")
	throttled   = ofStore("s3_throttled", "S3 asks us to slow down")
	unavailable = ofStore("s3_unavailable", "S3 cannot be reached or failed")
	stalled     = ofStore("s3_stalled", "S3 stopped sending, and did not go on when it was asked again")
)

// The rest says nothing of the store nor for ever of the job.
var (
	refused    = passing(fault.Retryable, "s3_refused", "S3 refused the request")
	protocol   = passing(fault.Retryable, "s3_protocol", "S3's answer lacks the size, or is not of the range that was asked for")
	unverified = passing(fault.Retryable, "s3_unverified", "the bytes do not have the checksum that S3 keeps of them")
	closed     = passing(fault.Retryable, "read_closed", "the file was closed while it was read")
	cut        = passing(fault.Interrupted, "interrupted", "the read was stopped from outside")
)

func ofFile(code, text string) verdict {
	return verdict{kind: fault.Permanent, scope: fault.Job, code: code, text: text}
}

// ofWorker is of a file, or of the worker that asks for it.
func ofWorker(code, text string) verdict {
	v := ofFile(code, text)
	v.own = true
	return v
}

func ofStore(code, text string) verdict {
	return verdict{kind: fault.Retryable, scope: fault.Store, code: code, text: text}
}

func passing(kind fault.Kind, code, text string) verdict {
	return verdict{kind: kind, scope: fault.Job, code: code, text: text}
}

func (v verdict) fault(cause error) *fault.Fault {
	return &fault.Fault{Kind: v.kind, Scope: v.scope, Code: v.code, Text: v.text, Own: v.own, Cause: cause}
}

// statusVerdict is for answers whose code is unknown.
func statusVerdict(status int) verdict {
	switch {
	case status == http.StatusUnauthorized:
		return credentials
	case status == http.StatusPreconditionFailed, status == http.StatusRequestedRangeNotSatisfiable:
		return fileChanged
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return throttled
	case status >= 500, status == http.StatusRequestTimeout:
		return unavailable
	case status >= 300 && status < 400:
		return wrongRegion
	}
	return refused
}

// errStalled is the cause of a read that the watchdog cut off.
var errStalled = errors.New("no progress")

// judge says once what an error of the SDK or of a body means. ctx is the
// caller's: when that ended, the error says nothing of the store.
func judge(ctx context.Context, err error) *fault.Fault {
	if ctx.Err() != nil {
		return cut.fault(ctx.Err())
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f
	}
	if errors.Is(err, errStalled) {
		return stalled.fault(err)
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return credentials.fault(err)
	}
	answer, _ := errors.AsType[*smithyhttp.ResponseError](err)
	if v, known := verdicts[codeOf(err)]; known {
		return v.answered(answer, err)
	}
	if answer == nil || answer.HTTPStatusCode() == 0 {
		return unavailable.fault(err)
	}
	return statusVerdict(answer.HTTPStatusCode()).answered(answer, err)
}

// codeOf is S3's error code in err, or empty.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// as is the same answer under another verdict.
func (v verdict) as(f *fault.Fault) *fault.Fault {
	answer, _ := errors.AsType[*smithyhttp.ResponseError](f.Cause)
	return v.answered(answer, f.Cause)
}

// said is what may be shown of an answer: its error code where that is one of
// the table's, since any other may be text of unknown content, and its status.
func said(answer *smithyhttp.ResponseError, err error) string {
	var parts []string
	if code := codeOf(err); verdicts[code].code != "" {
		parts = append(parts, code)
	}
	if answer != nil && answer.HTTPStatusCode() != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", answer.HTTPStatusCode()))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (S3: " + strings.Join(parts, ", ") + ")"
}

// maxRetryAfter bounds the store's wish, so that a wrong header cannot stop
// every job that reads from it for hours.
const maxRetryAfter = 15 * 60 // seconds

// answered adds what S3 said, and the least wait it asked for.
func (v verdict) answered(answer *smithyhttp.ResponseError, err error) *fault.Fault {
	f := v.fault(err)
	f.Text += said(answer, err)
	if v.kind != fault.Retryable || answer == nil || answer.Response == nil {
		return f
	}
	seconds, parseErr := strconv.Atoi(answer.Response.Header.Get("Retry-After"))
	if parseErr == nil && seconds > 0 {
		f.RetryAfter = time.Duration(min(seconds, maxRetryAfter)) * time.Second
	}
	return f
}

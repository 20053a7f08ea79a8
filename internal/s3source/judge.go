package s3source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
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
}

// The verdicts on a file: the job can never succeed as it stands.
var (
	fileMissing    = ofFile("file_missing", "S3 has no such object; it was never there, or it was deleted")
	bucketMissing  = ofFile("bucket_missing", "S3 has no such bucket")
	fileChanged    = ofFile("file_changed", "the object is not the one the job named or first read; it was replaced, or that version is gone")
	versionInvalid = ofFile("version_invalid", "S3 does not take the version_id for one of its own")
	fileArchived   = ofFile("file_archived", "the object is archived; restore it before the job is sent again")
	fileUnpinned   = ofFile("file_unpinned", "the store gives the object neither a version nor a strong ETag, so that nobody can tell whether a later read has the same bytes")
	fileSealed     = ofFile("file_encrypted_by_store", "S3 does not give out the object as it was asked for, as with one that is encrypted under a key of the customer's own (SSE-C), which is not supported; store it again under a key that the store keeps")
	keyInvalid     = ofFile("key_invalid", "a key must not hold a zero byte, nor . or .. between slashes; give the object another key")
	notAllowed     = ofFile("bucket_not_allowed", "jobs may not name this bucket or prefix; it is not among the allowed buckets")
	fileForbidden  = ofFile("file_forbidden", "S3 does not let us read the object; s3:GetObject is needed, and s3:GetObjectVersion in buckets that keep versions; "+
		"without s3:ListBucket AWS says the same of an object that does not exist")
	putForbidden  = ofFile("put_forbidden", "S3 does not let us store the object; s3:PutObject is needed")
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
	refused    = verdict{fault.Retryable, fault.Job, "s3_refused", "S3 refused the request"}
	protocol   = verdict{fault.Retryable, fault.Job, "s3_protocol", "S3's answer lacks the size, or is not of the range that was asked for"}
	unverified = verdict{fault.Retryable, fault.Job, "s3_unverified", "the bytes do not have the checksum that S3 keeps of them"}
	closed     = verdict{fault.Retryable, fault.Job, "read_closed", "the file was closed while it was read"}
	cut        = verdict{fault.Interrupted, fault.Job, "interrupted", "the read was stopped from outside"}
)

func ofFile(code, text string) verdict { return verdict{fault.Permanent, fault.Job, code, text} }

func ofStore(code, text string) verdict { return verdict{fault.Retryable, fault.Store, code, text} }

func (v verdict) fault(cause error) *fault.Fault {
	return &fault.Fault{Kind: v.kind, Scope: v.scope, Code: v.code, Text: v.text, Cause: cause}
}

// verdicts is by S3's error code (AWS, "Error responses"). NotFound and
// Forbidden are not here: the SDK makes them up for a 404 or 403 that names no
// code, which comes from a proxy or a wrong endpoint, and no job should end on
// that. S3 itself names a code wherever its answer may have a body.
var verdicts = map[string]verdict{
	"NoSuchKey":          fileMissing,
	"KeyTooLongError":    fileMissing,
	"NoSuchBucket":       bucketMissing,
	"InvalidBucketName":  bucketMissing,
	"NoSuchVersion":      fileChanged,
	"PreconditionFailed": fileChanged,
	"InvalidRange":       fileChanged, // only a resumed read asks for a range
	"AccessDenied":       fileForbidden,
	"AllAccessDisabled":  fileForbidden,
	"InvalidObjectState": fileArchived,

	"InvalidAccessKeyId":                 credentials,
	"SignatureDoesNotMatch":              credentials,
	"ExpiredToken":                       credentials,
	"InvalidToken":                       credentials,
	"TokenRefreshRequired":               credentials,
	"RequestTimeTooSkewed":               credentials,
	"RequestExpired":                     credentials,
	"InvalidSecurity":                    credentials,
	"NotSignedUp":                        credentials,
	"AccountProblem":                     credentials,
	"UnauthorizedAccess":                 credentials,
	"MissingSecurityHeader":              credentials,
	"XAdminUserNotFound":                 credentials, // versitygw's word for an unknown access key, with 404
	"PermanentRedirect":                  wrongRegion,
	"TemporaryRedirect":                  wrongRegion,
	"Redirect":                           wrongRegion,
	"AuthorizationHeaderMalformed":       wrongRegion, // signed for another region
	"IllegalLocationConstraintException": wrongRegion,

	"SlowDown":               throttled,
	"ServiceUnavailable":     throttled,
	"Throttling":             throttled,
	"ThrottlingException":    throttled,
	"RequestThrottled":       throttled,
	"RequestLimitExceeded":   throttled,
	"TooManyRequests":        throttled,
	"BandwidthLimitExceeded": throttled,
	"InternalError":          unavailable,
	"RequestTimeout":         unavailable,
	"OperationAborted":       unavailable,
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
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if v, known := verdicts[api.ErrorCode()]; known {
			return answered(v, answer, err)
		}
	}
	if answer == nil || answer.HTTPStatusCode() == 0 {
		return unavailable.fault(err)
	}
	f := answered(statusVerdict(answer.HTTPStatusCode()), answer, err)
	f.Text += fmt.Sprintf(" (HTTP %d)", answer.HTTPStatusCode())
	return f
}

// maxRetryAfter bounds the store's wish, so that a wrong header cannot put a
// job to sleep for days.
const maxRetryAfter = 3600 // seconds

// answered adds the least wait the store asked for.
func answered(v verdict, answer *smithyhttp.ResponseError, err error) *fault.Fault {
	f := v.fault(err)
	if v.kind != fault.Retryable || answer == nil || answer.Response == nil {
		return f
	}
	seconds, parseErr := strconv.Atoi(answer.Response.Header.Get("Retry-After"))
	if parseErr == nil && seconds > 0 {
		f.RetryAfter = time.Duration(min(seconds, maxRetryAfter)) * time.Second
	}
	return f
}

package s3source

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// listedCodes is AWS's list of S3 error codes with their statuses (AWS, "Error
// responses", November 2026), those of AWS KMS that S3 passes on, and those of
// other stores; behind each is what becomes of a read that meets it.
const listedCodes = `
301 PermanentRedirect s3_region                      301 PermanentRedirectControlError s3_region
304 NotModified s3_rejected                          307 Redirect s3_region
307 TemporaryRedirect s3_region
400 AccessControlListNotSupported s3_rejected        400 AmbiguousGrantByEmailAddress s3_rejected
400 AuthorizationHeaderMalformed s3_region           400 AuthorizationQueryParametersError s3_credentials
400 BadDigest s3_refused                             400 BucketHasAccessPointsAttached s3_rejected
400 ConnectionClosedByRequester s3_unavailable       400 CredentialsNotSupported s3_credentials
400 DeviceNotActiveError s3_credentials              400 EndpointNotFound s3_region
400 EntityTooLarge s3_rejected                       400 EntityTooSmall s3_rejected
400 ExpiredToken s3_credentials                      400 IllegalLocationConstraintException s3_region
400 IllegalVersioningConfigurationException s3_rejected
400 IncompleteBody s3_refused                        400 IncorrectEndpoint s3_region
400 IncorrectNumberOfFilesInPostRequest s3_rejected  400 InlineDataTooLarge s3_rejected
400 InvalidAccessPoint bucket_missing                400 InvalidAccessPointAliasError bucket_missing
400 InvalidAddressingHeader s3_region                400 InvalidArgument s3_rejected
400 InvalidBucketAclWithObjectOwnership s3_rejected  400 InvalidBucketName bucket_missing
400 InvalidBucketOwnerAWSAccountID s3_credentials    400 InvalidDigest s3_rejected
400 InvalidEncryptionAlgorithmError file_encrypted_by_store
400 InvalidHostHeader s3_region                      400 InvalidHttpMethod s3_rejected
400 InvalidLocationConstraint s3_region              400 InvalidPart s3_rejected
400 InvalidPartOrder s3_rejected                     400 InvalidPolicyDocument s3_rejected
400 InvalidRequest file_encrypted_by_store           400 InvalidSessionException s3_credentials
400 InvalidSignature s3_credentials                  400 InvalidSOAPRequest s3_rejected
400 InvalidStorageClass s3_rejected                  400 InvalidTag s3_rejected
400 InvalidTargetBucketForLogging s3_rejected        400 InvalidToken s3_credentials
400 InvalidURI s3_rejected                           400 KeyTooLongError file_missing
400 KMS.DisabledException file_key_unusable          400 KMS.InvalidKeyUsageException file_key_unusable
400 KMS.KMSInvalidStateException file_key_unusable   400 KMS.NotFoundException file_key_unusable
400 MalformedACLError s3_rejected                    400 MalformedPolicy s3_rejected
400 MalformedPOSTRequest s3_rejected                 400 MalformedXML s3_rejected
400 MaxMessageLengthExceeded s3_rejected             400 MaxPostPreDataLengthExceededError s3_rejected
400 MetadataTooLarge s3_rejected                     400 MissingAttachment s3_rejected
400 MissingRequestBodyError s3_rejected              400 MissingSecurityElement s3_credentials
400 MissingSecurityHeader s3_credentials             400 NoLoggingStatusForKey s3_rejected
400 NotDeviceOwnerError s3_credentials               400 RequestHeaderSectionTooLarge s3_rejected
400 RequestTimeout s3_unavailable                    400 RequestTorrentOfBucketError s3_rejected
400 ResponseInterrupted s3_unavailable               400 ServerSideEncryptionConfigurationNotFoundError s3_rejected
400 TagPolicyException s3_rejected                   400 TokenCodeInvalidError s3_credentials
400 TokenRefreshRequired s3_credentials              400 TooManyAccessPoints s3_rejected
400 TooManyBuckets s3_rejected                       400 TooManyMultiRegionAccessPointregionsError s3_rejected
400 TooManyMultiRegionAccessPoints s3_rejected       400 UnexpectedContent s3_rejected
400 UnresolvableGrantByEmailAddress s3_rejected      400 UnsupportedArgument s3_rejected
400 UnsupportedSignature s3_credentials              400 UserKeyMustBeSpecified s3_rejected
403 AccessDenied file_forbidden                      403 AccountProblem s3_credentials
403 AllAccessDisabled file_forbidden                 403 CrossLocationLoggingProhibited s3_rejected
403 InvalidAccessKeyId s3_credentials                403 InvalidObjectState file_archived
403 InvalidPayer file_forbidden                      403 InvalidRegion s3_region
403 InvalidSecurity s3_credentials                   403 MissingAuthenticationToken s3_credentials
403 NotSignedUp s3_credentials                       403 RequestTimeTooSkewed s3_credentials
403 SignatureDoesNotMatch s3_credentials             403 UnauthorizedAccessError s3_credentials
403 UnexpectedIPError s3_credentials                 403 UnauthorizedAccess s3_credentials
403 RequestExpired s3_credentials
404 NoSuchAccessPoint bucket_missing                 404 NoSuchAsyncRequest s3_rejected
404 NoSuchBucket bucket_missing                      404 NoSuchBucketPolicy s3_rejected
404 NoSuchCORSConfiguration s3_rejected              404 NoSuchKey file_missing
404 NoSuchLifecycleConfiguration s3_rejected         404 NoSuchMultiRegionAccessPoint bucket_missing
404 NoSuchObjectLockConfiguration s3_rejected        404 NoSuchTagSet s3_rejected
404 NoSuchUpload s3_rejected                         404 NoSuchVersion file_changed
404 NoSuchWebsiteConfiguration s3_rejected           404 NoTransformationDefined s3_rejected
404 ObjectLockConfigurationNotFoundError s3_rejected 404 OwnershipControlsNotFoundError s3_rejected
404 ReplicationConfigurationNotFoundError s3_rejected
404 XAdminUserNotFound s3_credentials
405 MethodNotAllowed s3_rejected
409 AccessPointAlreadyOwnedByYou s3_rejected         409 BucketAlreadyExists s3_rejected
409 BucketAlreadyOwnedByYou s3_rejected              409 BucketNotEmpty s3_rejected
409 ClientTokenConflict s3_rejected                  409 ConditionalRequestConflict s3_unavailable
409 InvalidBucketState s3_rejected                   409 OperationAborted s3_unavailable
409 RestoreAlreadyInProgress s3_unavailable
411 MissingContentLength s3_rejected
412 PreconditionFailed file_changed                  412 RequestIsNotMultiPartContent s3_rejected
416 InvalidRange file_changed
429 TooManyRequests s3_throttled                     429 Throttling s3_throttled
500 InternalError s3_unavailable                     501 NotImplemented s3_rejected
503 ServiceUnavailable s3_throttled                  503 SlowDown s3_throttled
400 ThrottlingException s3_throttled                 503 RequestThrottled s3_throttled
503 RequestLimitExceeded s3_throttled                509 BandwidthLimitExceeded s3_throttled
400 KMS.AccessDeniedException file_forbidden         400 KMS.InvalidStateException file_key_unusable
400 KMS.IncorrectKeyException file_key_unusable      400 KMS.InvalidCiphertextException file_key_unusable
403 KMS.InvalidGrantTokenException file_key_unusable 403 KMS.OptInRequired s3_credentials
400 KMS.ThrottlingException s3_throttled             400 KMS.LimitExceededException s3_throttled
500 KMS.KeyUnavailableException s3_unavailable       503 KMS.DependencyTimeoutException s3_unavailable
500 KMS.KMSInternalException s3_unavailable
`

// endsTheJob are the verdicts that no waiting cures, with what to do in their text.
var endsTheJob = map[string]string{
	"file_missing": "never there", "bucket_missing": "no such bucket", "file_changed": "replaced", "file_forbidden": "kms:Decrypt",
	"file_archived": "restore", "file_encrypted_by_store": "SSE-C", "file_key_unusable": "enable", "s3_rejected": "error code",
}

// TestEveryCodeOfS3 lets a store answer with each code there is.
func TestEveryCodeOfS3(t *testing.T) {
	const text = "the text of the store about " + canary
	var status int
	var code string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if status != http.StatusNotModified { // which has no body, so no code either
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message><Key>%s</Key></Error>`, code, text, canary)
		}
	}))
	t.Cleanup(store.Close)
	s := source(t, store.URL)
	file := schemas.File{Bucket: "shelf-of-the-canary", Key: canary}

	tested := map[string]bool{}
	words := strings.Fields(listedCodes)
	for i := 0; i+2 < len(words); i += 3 {
		if _, err := fmt.Sscan(words[i], &status); err != nil {
			t.Fatal(err)
		}
		code = words[i+1]
		want := words[i+2]
		tested[code] = true
		if status == http.StatusNotModified {
			if verdicts[code] != rejected {
				t.Errorf("%s: %s", code, verdicts[code].code)
			}
			continue
		}
		_, err := s.Open(t.Context(), file, nil)
		f := fault.Of(err)
		advice, final := endsTheJob[want]
		switch {
		case f.Code != want:
			t.Errorf("%d %s: got %s, want %s", status, code, f.Code, want)
		case final != (f.Kind == fault.Permanent) || final && f.Scope != fault.Job:
			t.Errorf("%d %s: %s %s", status, code, f.Kind, f.Scope)
		case !strings.Contains(f.Text, fmt.Sprintf("(S3: %s, HTTP %d)", code, status)):
			t.Errorf("%d %s: the text lacks S3's code: %s", status, code, f.Text)
		case !strings.Contains(f.Text, advice):
			t.Errorf("%d %s: the text lacks %q: %s", status, code, advice, f.Text)
		}
		saysNothing(t, err, file)
	}
	if got := slices.Sorted(maps.Keys(verdicts)); !slices.Equal(got, slices.Sorted(maps.Keys(tested))) {
		for _, known := range got {
			if !tested[known] {
				t.Errorf("%s is in the table and is not tested", known)
			}
		}
		for listed := range tested {
			if verdicts[listed].code == "" {
				t.Errorf("%s is listed and is not in the table", listed)
			}
		}
	}

	// A code of nobody's list may be any text: it is not shown, and ends no job.
	status, code = 400, "Patient"+canary
	_, err := s.Open(t.Context(), file, nil)
	if f := fault.Of(err); f.Kind != fault.Retryable || f.Code != "s3_refused" || !strings.HasSuffix(f.Text, " (S3: HTTP 400)") {
		t.Errorf("an unknown code: %s %s %s", f.Kind, f.Code, f.Text)
	}
	saysNothing(t, err, file)
}

// A proxy that gzips an answer unasked does not hide the code in it, and what is
// not gzipped though it says so, or has no end, is judged by its status.
func TestGzippedErrors(t *testing.T) {
	var body []byte
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(404)
		_, _ = w.Write(body)
	}))
	t.Cleanup(store.Close)
	s := source(t, store.URL)
	gzipped := func(text string) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return out.Bytes()
	}
	for want, answer := range map[string][]byte{
		"file_missing":            gzipped("<Error><Code>NoSuchKey</Code></Error>"),
		"s3_refused":              []byte("<Error><Code>NoSuchKey</Code></Error>"),
		"s3_refused, without end": gzipped("<Error><Code>NoSuchKey</Code><Message>" + strings.Repeat("x", 10<<20)),
	} {
		body = answer
		_, err := s.Open(t.Context(), schemas.File{Bucket: "bucket", Key: "k"}, nil)
		if code, _, _ := strings.Cut(want, ","); fault.Of(err).Code != code {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// A listing and a write speak of themselves, and name S3's code too.
func TestCodesOfListingsAndWrites(t *testing.T) {
	var code string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(403)
		fmt.Fprintf(w, `<Error><Code>%s</Code></Error>`, code)
	}))
	t.Cleanup(store.Close)
	s := source(t, store.URL)
	for _, tc := range []struct{ code, listed, put string }{
		{"AccessDenied", "list_forbidden", "put_forbidden"},
		{"InvalidRequest", "s3_rejected", "s3_rejected"},
		{"KMS.DisabledException", "file_key_unusable", "file_key_unusable"},
		{"InvalidAccessKeyId", "s3_credentials", "s3_credentials"},
	} {
		code = tc.code
		_, put := s.Put(t.Context(), Upload{Bucket: "bucket", Key: "k", Body: strings.NewReader("x"), Size: 1})
		var listed error
		for _, err := range s.List(t.Context(), "bucket", "") {
			listed = err
		}
		for err, want := range map[error]string{put: tc.put, listed: tc.listed} {
			if f := fault.Of(err); f.Code != want || !strings.HasSuffix(f.Text, "(S3: "+tc.code+", HTTP 403)") {
				t.Errorf("%s: got %s %q, want %s", tc.code, f.Code, f.Text, want)
			}
		}
	}
}

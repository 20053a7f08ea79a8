package s3source

import "strings"

// verdicts is by S3's error code: each code of AWS's list of error codes (AWS,
// "Error responses": general, tagging, replication), what AWS KMS says through
// S3, and few of other stores. S3 names a code wherever its answer may have a
// body.
//
// NotFound and Forbidden are not here: the SDK makes them up for a 404 or 403
// that names no code, which comes from a proxy or a wrong endpoint, and no job
// should end on that.
var verdicts = byCode([]verdictCodes{
	{fileMissing, "NoSuchKey KeyTooLongError"},
	{bucketMissing, `NoSuchBucket InvalidBucketName NoSuchAccessPoint InvalidAccessPoint InvalidAccessPointAliasError
		NoSuchMultiRegionAccessPoint`},
	// Only a resumed read asks for a range.
	{fileChanged, "NoSuchVersion PreconditionFailed InvalidRange"},
	{fileForbidden, "AccessDenied AllAccessDisabled InvalidPayer KMS.AccessDeniedException"},
	{fileArchived, "InvalidObjectState"},
	// To a plain read S3 says InvalidRequest of an object with a customer's key.
	{keyMissing, "InvalidRequest InvalidEncryptionAlgorithmError"},
	{keyUnusable, `KMS.DisabledException KMS.NotFoundException KMS.KMSInvalidStateException KMS.InvalidStateException
		KMS.InvalidKeyUsageException KMS.IncorrectKeyException KMS.InvalidCiphertextException KMS.InvalidGrantTokenException`},

	{credentials, `InvalidAccessKeyId SignatureDoesNotMatch InvalidSignature ExpiredToken InvalidToken TokenRefreshRequired
		TokenCodeInvalidError RequestTimeTooSkewed RequestExpired InvalidSecurity NotSignedUp AccountProblem UnauthorizedAccess
		UnauthorizedAccessError UnexpectedIPError MissingSecurityHeader MissingSecurityElement MissingAuthenticationToken
		CredentialsNotSupported UnsupportedSignature InvalidSessionException AuthorizationQueryParametersError
		DeviceNotActiveError NotDeviceOwnerError InvalidBucketOwnerAWSAccountID KMS.OptInRequired`},
	{credentials, "XAdminUserNotFound"}, // versitygw's word for an unknown access key, with 404
	// AuthorizationHeaderMalformed: signed for another region.
	{wrongRegion, `PermanentRedirect PermanentRedirectControlError TemporaryRedirect Redirect AuthorizationHeaderMalformed
		IllegalLocationConstraintException InvalidLocationConstraint InvalidRegion IncorrectEndpoint EndpointNotFound
		InvalidHostHeader InvalidAddressingHeader`},
	{throttled, `SlowDown ServiceUnavailable Throttling ThrottlingException RequestThrottled RequestLimitExceeded TooManyRequests
		BandwidthLimitExceeded KMS.ThrottlingException KMS.LimitExceededException`},
	{unavailable, `InternalError RequestTimeout OperationAborted ConditionalRequestConflict ConnectionClosedByRequester
		ResponseInterrupted RestoreAlreadyInProgress KMS.KeyUnavailableException KMS.DependencyTimeoutException
		KMS.KMSInternalException`},
	// A body that was spoilt or cut on its way.
	{refused, "BadDigest IncompleteBody"},

	// What a read, a listing or a write of Chartpost's own never asks for, or a
	// request that a proxy spoilt: it is the same the next time.
	{rejected, `AccessControlListNotSupported AccessPointAlreadyOwnedByYou AmbiguousGrantByEmailAddress BucketAlreadyExists
		BucketAlreadyOwnedByYou BucketHasAccessPointsAttached BucketNotEmpty ClientTokenConflict CrossLocationLoggingProhibited
		EntityTooLarge EntityTooSmall IllegalVersioningConfigurationException IncorrectNumberOfFilesInPostRequest
		InlineDataTooLarge InvalidArgument InvalidBucketAclWithObjectOwnership InvalidBucketState InvalidDigest InvalidHttpMethod
		InvalidPart InvalidPartOrder InvalidPolicyDocument InvalidSOAPRequest InvalidStorageClass InvalidTag
		InvalidTargetBucketForLogging InvalidURI MalformedACLError MalformedPOSTRequest MalformedPolicy MalformedXML
		MaxMessageLengthExceeded MaxPostPreDataLengthExceededError MetadataTooLarge MethodNotAllowed MissingAttachment
		MissingContentLength MissingRequestBodyError NoLoggingStatusForKey NoSuchAsyncRequest NoSuchBucketPolicy
		NoSuchCORSConfiguration NoSuchLifecycleConfiguration NoSuchObjectLockConfiguration NoSuchTagSet NoSuchUpload
		NoSuchWebsiteConfiguration NoTransformationDefined NotImplemented NotModified ObjectLockConfigurationNotFoundError
		OwnershipControlsNotFoundError ReplicationConfigurationNotFoundError RequestHeaderSectionTooLarge
		RequestIsNotMultiPartContent RequestTorrentOfBucketError ServerSideEncryptionConfigurationNotFoundError
		TagPolicyException TooManyAccessPoints TooManyBuckets TooManyMultiRegionAccessPointregionsError
		TooManyMultiRegionAccessPoints UnexpectedContent UnresolvableGrantByEmailAddress UnsupportedArgument
		UserKeyMustBeSpecified`},
})

// verdictCodes are the codes of one verdict, between blanks.
type verdictCodes struct {
	verdict verdict
	codes   string
}

func byCode(table []verdictCodes) map[string]verdict {
	all := map[string]verdict{}
	for _, entry := range table {
		for _, code := range strings.Fields(entry.codes) {
			all[code] = entry.verdict
		}
	}
	return all
}

// Package s3source reads the files of jobs from S3, and from stores that speak
// its protocol. A file is pinned by version and ETag when it is first opened;
// a read that breaks midway resumes at the same byte of the same version.
//
// Errors are *fault.Fault, judged by S3's error code and HTTP status. No text
// names a bucket, a key or anything a store said: all may hold patient data.
package s3source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/chartpost/chartpost/pipeline"
)

// Config says which store is read, and how.
type Config struct {
	// Endpoint is the URL of a store that is not AWS; empty is AWS.
	Endpoint string
	// Region may be empty where the AWS environment names one, or with an
	// Endpoint, whose region is then taken to be us-east-1.
	Region string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// Buckets are the buckets that jobs may name, each "bucket" or
	// "bucket/prefix". A prefix is compared as S3 does, character by character:
	// "reports/2026" allows "2026-draft.pdf" too, "reports/2026/" does not.
	// None allows every bucket that the credentials can read.
	Buckets []string
	// Concurrency is how many files are read at once, for the pool of
	// connections; 0 is 16.
	Concurrency int
	// Stall is how long a read may yield nothing before it is cut off and
	// resumed; 0 is 60 s. The whole read may take as long as it moves.
	Stall time.Duration
	// ResumeWait is the first wait before a broken read is resumed; it doubles
	// up to 5 s, with jitter. Ten times it is the longest wait between two
	// attempts to open. 0 is 200 ms.
	ResumeWait time.Duration
	// ValidateChecksums compares the checksum that the store keeps, where it
	// keeps one, before the last bytes are handed out. It is off by default: it
	// costs up to three quarters of the throughput of one stream (an object
	// stored with SHA-256 was read at 0.8 instead of 3 GB/s), TLS guards the
	// way, and the worker takes a SHA-256 of its own anyway. A read that had to
	// be resumed is not compared: a range has no checksum.
	ValidateChecksums bool
	// Credentials replace the AWS SDK's own chain.
	Credentials aws.CredentialsProvider
}

// Source reads files from one store. It is safe for concurrent use.
type Source struct {
	client  *s3.Client
	allowed []place
	config  Config
}

var _ pipeline.Source = (*Source)(nil)

const (
	defaultConcurrency = 16
	defaultStall       = time.Minute
	defaultResumeWait  = 200 * time.Millisecond
	defaultRegion      = "us-east-1"
)

// New reads the AWS environment, but does not call the store: see Check.
func New(ctx context.Context, c Config) (*Source, error) {
	c = c.withDefaults()
	places, err := parsePlaces(c.Buckets)
	if err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient(c)),
		config.WithRetryer(c.retryer),
		// It would print to standard error, past every log, what a store said: a
		// Date that is none.
		config.WithLogger(logging.Nop{}),
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(c.Credentials))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("s3: the AWS configuration cannot be read: %w", err)
	}
	if loaded.Region == "" {
		if c.Endpoint == "" {
			return nil, errors.New("s3: no region is set, neither here nor in the AWS environment")
		}
		loaded.Region = defaultRegion
	}
	loaded.Credentials = namedCredentials{loaded.Credentials}
	return &Source{client: s3.NewFromConfig(loaded, c.client), allowed: places, config: c}, nil
}

func (c Config) withDefaults() Config {
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Stall <= 0 {
		c.Stall = defaultStall
	}
	if c.ResumeWait <= 0 {
		c.ResumeWait = defaultResumeWait
	}
	return c
}

func (c Config) client(o *s3.Options) {
	// New's own client, with what AWS_CA_BUNDLE added.
	sdk := o.HTTPClient.(*awshttp.BuildableClient)
	o.HTTPClient = bounded{transport: sdk.GetTransport(), stall: c.Stall}
	o.UsePathStyle = c.PathStyle
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	if c.ValidateChecksums {
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		o.DisableLogOutputChecksumValidationSkipped = true
	}
	if c.Endpoint != "" {
		o.BaseEndpoint = aws.String(strings.TrimRight(c.Endpoint, "/"))
		// Many stores refuse the trailing checksums that AWS takes.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
}

// retryer is for the opening of a read alone: three attempts within seconds.
// What stays broken is the job's to retry. The SDK's token bucket, shared by
// all requests, is off: in an outage it would hide the store's own answer.
func (c Config) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 10 * c.ResumeWait
		o.RateLimiter = ratelimit.None
	})
}

// httpClient speaks HTTP/1.1: each stream has a connection and a window of its
// own. It is the SDK's buildable client so that AWS_CA_BUNDLE works. The sources
// of credentials use it as it is; of S3's requests see bounded.
func httpClient(c Config) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.ForceAttemptHTTP2 = false
		// A map that is not nil keeps TLS from offering h2.
		t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		t.MaxIdleConnsPerHost = c.Concurrency
		t.MaxIdleConns = 2 * c.Concurrency
		t.DisableCompression = true
		t.ResponseHeaderTimeout = c.Stall
		t.MaxResponseHeaderBytes = maxHeaders
	})
}

// credentialsWait bounds the wait for credentials. A program that gives them
// (credential_process) has a minute by the SDK's own rule; without a bound a
// source that redirects to itself, which the SDK follows, would never end.
const credentialsWait = 2 * time.Minute

// namedCredentials marks errors of the credentials chain, which are otherwise
// of no type, as such.
type namedCredentials struct{ chain aws.CredentialsProvider }

type credentialsError struct{ cause error }

func (e *credentialsError) Error() string { return "no credentials" }
func (e *credentialsError) Unwrap() error { return e.cause }

func (n namedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, credentialsWait)
	defer cancel()
	found, err := n.chain.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{cause: err}
	}
	return found, nil
}

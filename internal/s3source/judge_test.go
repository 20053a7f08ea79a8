package s3source

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

const canary = "CANARY"

func TestVerdictsOnAnswers(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, canary, []byte("x"))
	for _, c := range []struct {
		status int
		code   string
		kind   fault.Kind
		scope  fault.Scope
		want   string
	}{
		{404, "NoSuchKey", fault.Permanent, fault.Job, "file_missing"},
		{404, "NoSuchBucket", fault.Permanent, fault.Job, "bucket_missing"},
		{404, "NoSuchVersion", fault.Permanent, fault.Job, "file_changed"},
		{412, "PreconditionFailed", fault.Permanent, fault.Job, "file_changed"},
		{412, "", fault.Permanent, fault.Job, "file_changed"},
		{405, "MethodNotAllowed", fault.Permanent, fault.Job, "s3_rejected"}, // no version was asked for
		{403, "AccessDenied", fault.Permanent, fault.Job, "file_forbidden"},
		{403, "InvalidObjectState", fault.Permanent, fault.Job, "file_archived"},
		{400, "InvalidRequest", fault.Permanent, fault.Job, "file_encrypted_by_store"},
		{403, "SignatureDoesNotMatch", fault.Retryable, fault.Store, "s3_credentials"},
		{403, "InvalidAccessKeyId", fault.Retryable, fault.Store, "s3_credentials"},
		{400, "ExpiredToken", fault.Retryable, fault.Store, "s3_credentials"},
		{404, "XAdminUserNotFound", fault.Retryable, fault.Store, "s3_credentials"},
		{401, "", fault.Retryable, fault.Store, "s3_credentials"},
		{301, "PermanentRedirect", fault.Retryable, fault.Store, "s3_region"},
		{400, "AuthorizationHeaderMalformed", fault.Retryable, fault.Store, "s3_region"},
		{503, "SlowDown", fault.Retryable, fault.Store, "s3_throttled"},
		{503, "", fault.Retryable, fault.Store, "s3_throttled"},
		{429, "", fault.Retryable, fault.Store, "s3_throttled"},
		{500, "InternalError", fault.Retryable, fault.Store, "s3_unavailable"},
		{502, "", fault.Retryable, fault.Store, "s3_unavailable"},
		{400, "RequestTimeout", fault.Retryable, fault.Store, "s3_unavailable"},
		{400, "SomethingNew", fault.Retryable, fault.Job, "s3_refused"},
		// A proxy's or another server's page must not end a job.
		{404, "", fault.Retryable, fault.Job, "s3_refused"},
		{403, "", fault.Retryable, fault.Job, "s3_refused"},
	} {
		t.Run(c.want+" "+c.code, func(t *testing.T) {
			t.Parallel()
			proxy := newCrook(t, times(3, answers(c.status, c.code, "Retry-After: 7"))...)
			_, err := source(t, proxy.URL).Open(t.Context(), file, nil)
			wantFault(t, err, c.kind, c.want)
			f := fault.Of(err)
			if f.Scope != c.scope {
				t.Errorf("scope %s, want %s", f.Scope, c.scope)
			}
			if wants := c.kind == fault.Retryable; (f.RetryAfter == 7*time.Second) != wants {
				t.Errorf("retry after %v", f.RetryAfter)
			}
			saysNothing(t, err, file)
		})
	}
}

// saysNothing fails when an error tells what may be patient data.
func saysNothing(t *testing.T, err error, file schemas.File) {
	t.Helper()
	for _, secret := range []string{canary, "canary", file.Bucket, storeURL} {
		if secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%q holds %q", err, secret)
		}
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	file := schemas.File{Bucket: "bucket", Key: "k"}
	for header, want := range map[string]time.Duration{
		"99999999": 15 * time.Minute, "-5": 0, "soon": 0, "0": 0, "99999999999999999999": 0,
	} {
		proxy := newCrook(t, times(3, answers(503, "SlowDown", "Retry-After: "+header))...)
		_, err := source(t, proxy.URL).Open(t.Context(), file, nil)
		if got := fault.Of(err).RetryAfter; got != want {
			t.Errorf("%s: %v, want %v", header, got, want)
		}
	}
}

func TestOpeningIsTriedAgain(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, "k", []byte("x"))
	proxy := newCrook(t, times(2, answers(503, "SlowDown"))...)
	read(t, open(t, source(t, proxy.URL), file, nil))
	if n := len(proxy.seen()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestRealRefusals lets the real server refuse: its codes, not ours.
func TestRealRefusals(t *testing.T) {
	shelf := newShelf(t, false)
	there := shelf.put(t, canary, []byte("x"))
	noKey := schemas.File{Bucket: there.Bucket, Key: "missing-" + canary}
	noBucket := schemas.File{Bucket: "canary-bucket", Key: canary}
	broken := errors.New("chain: " + canary)
	for name, c := range map[string]struct {
		file   schemas.File
		adjust func(*Config)
		kind   fault.Kind
		scope  fault.Scope
		code   string
	}{
		"missing":        {noKey, func(*Config) {}, fault.Permanent, fault.Job, "file_missing"},
		"no bucket":      {noBucket, func(*Config) {}, fault.Permanent, fault.Job, "bucket_missing"},
		"a stranger":     {there, as("stranger", "stranger-secret"), fault.Permanent, fault.Job, "file_forbidden"},
		"a wrong secret": {there, as("stranger", "wrong"), fault.Retryable, fault.Store, "s3_credentials"},
		"nobody":         {there, as("nobody", "wrong"), fault.Retryable, fault.Store, "s3_credentials"},
		"no credentials": {there, func(c *Config) {
			c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, broken })
		}, fault.Retryable, fault.Store, "s3_credentials"},
		"another region": {there, func(c *Config) { c.Region = "eu-north-1" }, fault.Retryable, fault.Store, "s3_region"},
		"nobody listens": {there, func(c *Config) { c.Endpoint = deaf(t) }, fault.Retryable, fault.Store, "s3_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, storeURL, c.adjust)
			_, err := s.Open(t.Context(), c.file, nil)
			wantFault(t, err, c.kind, c.code)
			saysNothing(t, err, c.file)
			if got := fault.Of(err).Scope; got != c.scope {
				t.Errorf("scope %s, want %s", got, c.scope)
			}
			_, err = s.Stat(t.Context(), c.file, nil)
			wantFault(t, err, c.kind, c.code)
			saysNothing(t, err, c.file)
		})
	}
}

// deaf is an address where nobody listens any more.
func deaf(t *testing.T) string {
	t.Helper()
	proxy := newCrook(t)
	proxy.Close()
	return proxy.URL
}

func TestAllowedBuckets(t *testing.T) {
	const no, yes, climbs = "bucket_not_allowed", "", "key_invalid"
	for _, c := range []struct {
		allowed     []string
		bucket, key string
		code        string
	}{
		{nil, "reports", "a", yes},
		{nil, "reports", "", "file_missing"},
		{nil, "reports", strings.Repeat("k", 1025), "file_missing"},
		{nil, "reports", "a/../b", climbs},
		{nil, "reports", "a\x00b", climbs},
		{nil, "", "a", "bucket_missing"},
		{nil, "a/b", "c", "bucket_missing"},
		{nil, "..", "c", "bucket_missing"},
		{nil, "arn:aws:s3:us-east-1:1:accesspoint/x", "a", "bucket_missing"},
		{[]string{"reports"}, "reports", "a", yes},
		{[]string{"reports"}, "reports2", "a", no},
		{[]string{"reports"}, "report", "a", no},
		{[]string{"reports"}, "reports", "../other/a", climbs},
		{[]string{"reports", "scans/2026/"}, "scans", "2026/a", yes},
		{[]string{"reports", "scans/2026/"}, "scans", "2026", no},
		{[]string{"scans/2026/"}, "scans", "2026-draft", no},
		{[]string{"scans/2026"}, "scans", "2026-draft", yes},
		{[]string{"scans/2026/"}, "scans", "2026/../2025/a", climbs},
		{[]string{"scans/2026/"}, "scans", "2026/./a", climbs},
		{[]string{"scans/2026/"}, "scans", "2026/..a/b..", yes},
		{[]string{"scans/"}, "scans", "a", yes},
	} {
		s := source(t, storeURL, func(config *Config) { config.Buckets = c.allowed })
		f := s.admit(schemas.File{Bucket: c.bucket, Key: c.key})
		switch {
		case c.code == yes && f != nil:
			t.Errorf("%v: %s %q refused: %v", c.allowed, c.bucket, c.key, f)
		case c.code != yes && f == nil:
			t.Errorf("%v: %s %.20q taken", c.allowed, c.bucket, c.key)
		case f != nil && (f.Code != c.code || f.Kind != fault.Permanent):
			t.Errorf("%v: %s %.20q: %v, want %s", c.allowed, c.bucket, c.key, f, c.code)
		}
	}
	for _, entry := range []string{"", "/a", "x", "a b c"} {
		if _, err := New(t.Context(), Config{Endpoint: storeURL, Buckets: []string{entry}}); err == nil {
			t.Errorf("entry %q taken", entry)
		}
	}
	s := source(t, storeURL, func(c *Config) { c.Buckets = []string{"reports"} })
	for _, ask := range []func() error{
		func() error { _, err := s.Open(t.Context(), schemas.File{Bucket: "other", Key: "k"}, nil); return err },
		func() error { _, err := s.Stat(t.Context(), schemas.File{Bucket: "other", Key: "k"}, nil); return err },
		func() error { _, err := s.Put(t.Context(), Upload{Bucket: "other", Key: "k"}); return err },
	} {
		wantFault(t, ask(), fault.Permanent, "bucket_not_allowed")
	}
}

// TestBodiesSayNothing: errors in the middle of a read, as those of its start.
func TestBodiesSayNothing(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, canary, noise(1000))
	for _, tricks := range [][]trick{
		times(50, cutAt(1)),
		{cutAt(1), answers(404, "NoSuchKey")},
		append(times(1, cutAt(1)), times(50, answers(500, "InternalError"))...),
	} {
		object := open(t, source(t, newCrook(t, tricks...).URL), file, nil)
		_, err := io.Copy(io.Discard, object.Body)
		if err == nil {
			t.Fatal("no error")
		}
		saysNothing(t, err, file)
		object.Body.Close()
	}
}

package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
)

// policy is an IAM policy, or with a Principal that of a bucket.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal map[string][]string `json:",omitempty"`
	Action    []string
	Resource  []string
}

// storeUsers are those of the S3 server; a role's policy is a file of s3/.
var storeUsers = []string{worker, submitter, operator, taker, "stranger"}

// policyStore is an S3 server on which every role has the rights of its policy.
// The server knows policies of buckets and none of users, so that the statements
// get a principal here; as policies of users they are AWS's to try.
func policyStore(t *testing.T) (url string, client func(user string) *s3.Client) {
	t.Helper()
	options := s3dev.Options{Dir: t.TempDir(), Versioning: true}
	for _, user := range storeUsers {
		options.Users = append(options.Users, s3dev.User{AccessKey: user, SecretKey: user + "-secret"})
	}
	url = devtest.Process(t, s3dev.StartProcess, options).URL()
	owner := s3dev.Client(url, options)
	must(t, s3dev.Bucket(t.Context(), owner, testBucket, true))
	must(t, s3dev.Bucket(t.Context(), owner, "other", true))
	files, err := filepath.Glob(filepath.Join("s3", "*.json"))
	must(t, err)
	if len(files) != 4 {
		t.Fatalf("%d policies, want 4", len(files))
	}
	all := policy{Version: "2012-10-17"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		var one policy
		must(t, decoder.Decode(&one))
		for _, s := range one.Statement {
			s.Principal = map[string][]string{"AWS": {strings.TrimSuffix(filepath.Base(file), ".json")}}
			all.Statement = append(all.Statement, s)
		}
	}
	text, err := json.Marshal(all)
	must(t, err)
	_, err = owner.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String(testBucket), Policy: aws.String(string(text))})
	must(t, err)
	return url, func(user string) *s3.Client {
		if user == "" {
			return owner
		}
		return s3.New(s3.Options{
			BaseEndpoint: aws.String(url), Region: s3dev.DefaultRegion, UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(user, user+"-secret", ""),
		})
	}
}

// TestStorePolicies tries what each role may do with objects, and the rest.
func TestStorePolicies(t *testing.T) {
	t.Parallel()
	_, client := policyStore(t)
	put := func(ctx context.Context, c *s3.Client, bucket, key string) (*s3.PutObjectOutput, error) {
		return c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader("x")})
	}
	first, err := put(t.Context(), client(""), testBucket, "outbox/a.pdf")
	must(t, err)
	_, err = put(t.Context(), client(""), testBucket, "outbox/a.pdf")
	must(t, err)
	_, err = put(t.Context(), client(""), "other", "a.pdf")
	must(t, err)
	get := func(bucket, key string, version *string) func(context.Context, *s3.Client) error {
		return func(ctx context.Context, c *s3.Client) error {
			out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), VersionId: version})
			if err == nil {
				err = out.Body.Close()
			}
			return err
		}
	}
	stored := func(bucket, key string) func(context.Context, *s3.Client) error {
		return func(ctx context.Context, c *s3.Client) error { _, err := put(ctx, c, bucket, key); return err }
	}
	for _, one := range []struct {
		what    string
		allowed string
		do      func(context.Context, *s3.Client) error
	}{
		{"read", "worker operator", get(testBucket, "outbox/a.pdf", nil)},
		{"read a version", "worker operator", get(testBucket, "outbox/a.pdf", first.VersionId)},
		{"head", "worker operator", func(ctx context.Context, c *s3.Client) error {
			_, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(testBucket), Key: aws.String("outbox/a.pdf")})
			return err
		}},
		{"read in another bucket", "", get("other", "a.pdf", nil)},
		{"list", "operator", func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(testBucket)})
			return err
		}},
		{"list another bucket", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("other")})
			return err
		}},
		{"store", "submitter", stored(testBucket, "outbox/b.pdf")},
		{"store what a caller sends", "intake", stored(testBucket, "incoming/b.pdf")},
		{"read what a caller sent", "worker operator intake", get(testBucket, "incoming/b.pdf", nil)},
		{"remove what a caller sent", "intake", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(testBucket), Key: aws.String("incoming/c.pdf")})
			return err
		}},
		{"store elsewhere", "", stored(testBucket, "archive/b.pdf")},
		{"store in another bucket", "", stored("other", "outbox/b.pdf")},
		{"delete", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(testBucket), Key: aws.String("outbox/a.pdf")})
			return err
		}},
		{"delete a version", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(testBucket), Key: aws.String("outbox/a.pdf"), VersionId: first.VersionId})
			return err
		}},
		{"read the policy", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String(testBucket)})
			return err
		}},
		{"change the policy", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: aws.String(testBucket)})
			return err
		}},
		{"tag", "", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: aws.String(testBucket), Key: aws.String("outbox/a.pdf")})
			return err
		}},
	} {
		for _, user := range storeUsers {
			err := one.do(t.Context(), client(user))
			may := strings.Contains(" "+one.allowed+" ", " "+user+" ")
			api, _ := errors.AsType[smithy.APIError](err)
			switch {
			case may && err != nil:
				t.Errorf("%s may not %s: %v", user, one.what, err)
			case !may && err == nil:
				t.Errorf("%s may %s", user, one.what)
			case !may && (api == nil || api.ErrorCode() != "AccessDenied" && api.ErrorCode() != "Forbidden"):
				t.Errorf("%s, who is to be refused to %s: %v", user, one.what, err)
			}
		}
	}
}

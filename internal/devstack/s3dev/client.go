package s3dev

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Credentials are those of the server's owner.
func (o Options) Credentials() aws.CredentialsProvider {
	o = o.withDefaults()
	return credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")
}

// Client is an SDK client of the server at url as its owner.
func Client(url string, options Options) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(url),
		Region:       options.withDefaults().Region,
		UsePathStyle: true,
		Credentials:  options.Credentials(),
	})
}

// Bucket makes a bucket unless it is there, and with versions switches it to
// keep them, which needs a server with Options.Versioning.
func Bucket(ctx context.Context, client *s3.Client, name string, versions bool) error {
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
	if _, exists := errors.AsType[*types.BucketAlreadyOwnedByYou](err); err != nil && !exists {
		return fmt.Errorf("s3dev: make a bucket: %w", err)
	}
	if !versions {
		return nil
	}
	_, err = client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(name),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("s3dev: keep versions: %w", err)
	}
	return nil
}

package s3source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// The S3 server of this package's tests, in a process of its own.
var (
	storeURL     string
	storeOptions = s3dev.Options{Versioning: true, Users: []s3dev.User{{AccessKey: "stranger", SecretKey: "stranger-secret"}}}
)

func TestMain(m *testing.M) {
	os.Exit(withStore(m))
}

func withStore(m *testing.M) int {
	dir, err := os.MkdirTemp("", "s3source-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	storeOptions.Dir = dir
	store, err := s3dev.StartProcess(context.Background(), storeOptions)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer store.Close()
	storeURL = store.URL()
	return m.Run()
}

// shelf is a bucket of one test.
type shelf struct {
	client *s3.Client
	bucket string
}

var shelves atomic.Int32

func newShelf(t *testing.T, versions bool) shelf {
	t.Helper()
	s := shelf{client: s3dev.Client(storeURL, storeOptions), bucket: fmt.Sprintf("shelf-%d", shelves.Add(1))}
	if err := s3dev.Bucket(t.Context(), s.client, s.bucket, versions); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s shelf) put(t *testing.T, key string, content []byte) schemas.File {
	t.Helper()
	_, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(s.bucket), Key: aws.String(key), Body: bytes.NewReader(content), ContentType: aws.String("application/pdf"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return schemas.File{Bucket: s.bucket, Key: key}
}

func (s shelf) file(key string) schemas.File { return schemas.File{Bucket: s.bucket, Key: key} }

func (s shelf) remove(t *testing.T, file schemas.File) {
	t.Helper()
	if _, err := s.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(file.Bucket), Key: aws.String(file.Key)}); err != nil {
		t.Fatal(err)
	}
}

// noise is content in which no two stretches are alike.
func noise(size int) []byte {
	content := make([]byte, size)
	seed := sha256.Sum256(fmt.Append(nil, size))
	rand.NewChaCha8(seed).Read(content)
	return content
}

// source reads through the given endpoint as the store's owner.
func source(t *testing.T, endpoint string, adjust ...func(*Config)) *Source {
	t.Helper()
	c := Config{Endpoint: endpoint, PathStyle: true, Credentials: storeOptions.Credentials(), ResumeWait: time.Millisecond}
	for _, f := range adjust {
		f(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func as(accessKey, secretKey string) func(*Config) {
	return func(c *Config) {
		c.Credentials = awscredentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	f, ok := err.(*fault.Fault)
	if !ok {
		t.Fatalf("got %T %v, want a fault", err, err)
	}
	if f.Kind != kind || f.Code != code {
		t.Errorf("got %s %s (cause %v), want %s %s", f.Kind, f.Code, f.Cause, kind, code)
	}
	if f.Path != "" {
		t.Errorf("path %q: the source knows no index", f.Path)
	}
}

package s3dev_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func put(t *testing.T, client *s3.Client, text string) (version string) {
	t.Helper()
	out, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b.txt"), Body: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func get(t *testing.T, client *s3.Client, version string) string {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b.txt")}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	out, err := client.GetObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func bucket(t *testing.T, client *s3.Client, versions bool) {
	t.Helper()
	for range 2 { // making it again is no error
		if err := s3dev.Bucket(t.Context(), client, "bucket", versions); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMakesCopies: the backend's own zero value would refuse them.
func TestMakesCopies(t *testing.T) {
	options := s3dev.Options{Dir: t.TempDir()}
	server := devtest.Process(t, s3dev.StartProcess, options)
	client := s3dev.Client(server.URL(), options)
	bucket(t, client, false)
	put(t, client, "one")
	_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: aws.String("copy"), CopySource: aws.String("bucket/a/b.txt")})
	if err != nil {
		t.Error(err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	if _, err := s3dev.StartProcess(t.Context(), s3dev.Options{}); err == nil {
		t.Error("no folder: want an error")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s3dev.StartProcess(t.Context(), s3dev.Options{Dir: file}); err == nil {
		t.Error("a file for a folder: want an error")
	}
	// /proc keeps no extended attributes, and no files either.
	if _, err := s3dev.StartProcess(t.Context(), s3dev.Options{Dir: "/proc"}); err == nil || !strings.Contains(err.Error(), "/proc") {
		t.Errorf("got %v, want the folder named", err)
	}
}

func TestProcessSurvivesKill(t *testing.T) {
	options := s3dev.Options{Dir: t.TempDir(), Versioning: true}
	server := devtest.Process(t, s3dev.StartProcess, options)
	client := s3dev.Client(server.URL(), options)
	bucket(t, client, true)
	first := put(t, client, "one")
	if second := put(t, client, "two"); first == "" || second == first {
		t.Fatalf("versions %q and %q", first, second)
	}
	for _, end := range []func() error{server.Kill, server.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, old := get(t, client, ""), get(t, client, first); now != "two" || old != "one" {
			t.Fatalf("got %q and %q", now, old)
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	for range 2 {
		options := s3dev.Options{Dir: t.TempDir()}
		server := devtest.Process(t, s3dev.StartProcess, options)
		bucket(t, s3dev.Client(server.URL(), options), false)
	}
}

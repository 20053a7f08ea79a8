// Package s3dev runs a real S3 server over a folder: versitygw with its posix
// backend, which verifies signatures, honors If-Match and keeps versions. The
// server is a program of a module of its own, internal/devstack/s3server.
//
// The production binary never links it.
package s3dev

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/chartpost/chartpost/internal/devstack"
)

// What a server takes when its options leave it open.
const (
	DefaultAccessKey = "chartpost"
	DefaultSecretKey = "chartpost-development"
	DefaultRegion    = "us-east-1"
)

// Options says how an S3 server is run.
type Options struct {
	// Dir holds everything: objects/<bucket>/<key> are the files, the other
	// folders belong to the server. Its file system must keep extended
	// attributes, as ext4 and xfs do. Required.
	Dir string `json:"dir"`
	// Port is the port on 127.0.0.1; 0 takes a free one.
	Port      int    `json:"port,omitempty"`
	AccessKey string `json:"access_key,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	Region    string `json:"region,omitempty"`
	// Versioning lets buckets be switched to keep versions; see Bucket.
	Versioning bool `json:"versioning,omitempty"`
	// Users are further accounts, which may do only what a bucket's policy
	// allows them.
	Users []User `json:"users,omitempty"`
}

// User is an account that is not the owner of the server.
type User struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

func (o Options) withDefaults() Options {
	if o.AccessKey == "" && o.SecretKey == "" {
		o.AccessKey, o.SecretKey = DefaultAccessKey, DefaultSecretKey
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	return o
}

// StartProcess starts the server and returns when it takes requests. It dies
// with this process.
func StartProcess(ctx context.Context, options Options) (*devstack.ServerProcess, error) {
	if options.Dir == "" {
		return nil, errors.New("s3dev: no folder for the objects")
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	options.Dir = dir
	program, err := program(ctx)
	if err != nil {
		return nil, err
	}
	return devstack.StartProgram(ctx, program, "s3", options.withDefaults())
}

// programName is the server's as `make build` and the image have it.
const programName = "s3server"

// program is the server's: the one beside this program, where `make build` and
// the image put it, or else one that is built now.
func program(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), programName)
	if about, err := os.Stat(beside); err == nil && about.Mode().IsRegular() {
		return beside, nil
	}
	return devstack.Build(ctx, "internal/devstack/"+programName)
}

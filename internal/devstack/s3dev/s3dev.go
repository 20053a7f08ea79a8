// Package s3dev runs a real S3 server over a folder: versitygw with its posix
// backend, which verifies signatures, honours If-Match and keeps versions.
// It stands apart from devstack because it links some sixty modules that
// nobody who only needs NATS should build.
//
// The production binary never links it.
package s3dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"

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

// Server is an S3 server inside this process.
type Server struct {
	url    string
	stop   context.CancelFunc
	ended  chan error
	closed atomic.Bool
	before string // the working directory before the start
}

// taken guards what the server keeps once per process: its own globals, and
// the working directory.
var taken atomic.Bool

// Start starts the server inside this process and returns when it takes
// requests. Only one can run in a process at a time; a second Start is an
// error. While it runs, the working directory of the whole process is the
// folder of its objects, because the posix backend names files relative to it:
// make paths absolute before. StartProcess has neither limit.
func Start(options Options) (*Server, error) {
	if !taken.CompareAndSwap(false, true) {
		return nil, errors.New("s3dev: one S3 server runs in this process already, and the library allows no second: use StartProcess")
	}
	s, err := startOnPort(options.withDefaults())
	if err != nil {
		taken.Store(false)
		return nil, err
	}
	return s, nil
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

// startOnPort picks a free port where none is asked for. The server cannot be
// given a listener, so another process can take the port in between: then the
// next one is tried.
func startOnPort(options Options) (*Server, error) {
	if options.Port != 0 {
		return start(options)
	}
	var failed error
	for range 5 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		options.Port = port
		s, err := start(options)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return s, err
		}
		failed = err
	}
	return nil, failed
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// startWithin bounds a hang; a start takes milliseconds.
const startWithin = 2 * time.Minute

func start(options Options) (*Server, error) {
	before, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	dirs, err := prepare(options)
	if err != nil {
		return nil, err
	}
	accounts, err := accountsOf(options, dirs)
	if err != nil {
		return nil, err
	}
	backend, err := posix.New(dirs.objects, meta.XattrMeta{}, posix.PosixOpts{
		VersioningDir: dirs.versions,
		// The zero value would refuse every copy; this is the limit of S3.
		CopyObjectThreshold: 5 << 30,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("s3dev: %w", err), os.Chdir(before))
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(options.Port))
	listens := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{url: "http://" + address, stop: stop, ended: make(chan error, 1), before: before}
	go func() {
		s.ended <- embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
			RootUserAccess:    options.AccessKey,
			RootUserSecret:    options.SecretKey,
			Region:            options.Region,
			Ports:             []string{address},
			MaxConnections:    4096,
			MaxRequests:       4096,
			MultipartMaxParts: 10000,
			KeepAlive:         true,
			Quiet:             true,
			HealthPath:        "/healthz",
			IAMService:        accounts,
			S3Options:         []s3api.Option{s3api.WithOnListen(func() { close(listens) })},
		})
	}()
	return s, s.await(listens)
}

// await returns when the server listens, and undoes the start when it fails.
func (s *Server) await(listens <-chan struct{}) error {
	var err error
	select {
	case <-listens:
		return nil
	case err = <-s.ended:
		s.stop()
	case <-time.After(startWithin):
		s.stop()
		err = errors.Join(errors.New("it does not listen"), <-s.ended)
	}
	return errors.Join(fmt.Errorf("s3dev: %w", err), os.Chdir(s.before))
}

// URL is the endpoint of the server, for path-style requests.
func (s *Server) URL() string { return s.url }

// Close stops the server, waits until it has stopped and gives the process its
// working directory back.
func (s *Server) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	s.stop()
	err := errors.Join(<-s.ended, os.Chdir(s.before))
	taken.Store(false)
	return err
}

// Role makes a program able to be an S3 server; see devstack.ServeIfAsked.
func Role() devstack.Role {
	return devstack.Role{Name: "s3", Serve: func(port int, raw json.RawMessage) (devstack.Server, error) {
		var options Options
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fmt.Errorf("s3dev: options: %w", err)
		}
		if port != 0 {
			options.Port = port
		}
		return Start(options)
	}}
}

// StartProcess runs this program again as an S3 server. The program must call
// devstack.ServeIfAsked with Role.
func StartProcess(ctx context.Context, options Options) (*devstack.ServerProcess, error) {
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	if options.Dir != "" {
		options.Dir = dir
	}
	return devstack.StartProcess(ctx, Role().Name, options)
}

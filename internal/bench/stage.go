package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

const bucket = "bench"

// stage is what all measurements share: the programs, the S3 server, the
// worker's credentials. What differs by row is started for it.
type stage struct {
	dir                      string
	chartpost, nats, pipe    string
	s3                       *devstack.ServerProcess
	client                   *s3.Client
	stored                   map[int]string
	keyFile, clientID, keyID string
	sourceID                 string
	// synced is every queue, whatever the row says.
	synced bool
	// replicas is how many servers a queue has.
	replicas int
	closes   []func() error
}

// newStage builds what is not given and starts what every row needs.
func newStage(ctx context.Context, chartpost string, synced bool, replicas int) (*stage, error) {
	dir, err := os.MkdirTemp("", "chartpost-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, stored: map[int]string{}, chartpost: chartpost, synced: synced, replicas: replicas}
	s.closes = append(s.closes, func() error { return os.RemoveAll(dir) })
	if err := s.set(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) set(ctx context.Context) (err error) {
	if err := s.build(ctx); err != nil {
		return err
	}
	if err := s.identify(); err != nil {
		return err
	}
	options := s3dev.Options{Dir: filepath.Join(s.dir, "s3")}
	if s.s3, err = s3dev.StartProcess(ctx, options); err != nil {
		return err
	}
	s.closes = append(s.closes, s.s3.Close)
	s.client = s3dev.Client(s.s3.URL(), options)
	return s3dev.Bucket(ctx, s.client, bucket, false)
}

func (s *stage) close() error {
	var faults []error
	for i := len(s.closes) - 1; i >= 0; i-- {
		faults = append(faults, s.closes[i]())
	}
	return errors.Join(faults...)
}

// build makes the programs that are not given.
func (s *stage) build(ctx context.Context) (err error) {
	if s.chartpost == "" {
		if s.chartpost, err = devstack.Build(ctx, "cmd/chartpost"); err != nil {
			return err
		}
	}
	if s.pipe, err = devstack.Build(ctx, "internal/bench/pipe"); err != nil {
		return err
	}
	s.nats, err = devstack.Build(ctx, devstack.NATSServer)
	return err
}

func goBuild(ctx context.Context, program, pkg string, flags ...string) error {
	args := append([]string{"build", "-o", program}, append(flags, pkg)...)
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build of %s: %w: %s", filepath.Base(program), err, out)
	}
	return nil
}

// identify makes the client that the worker asks for tokens as.
func (s *stage) identify() error {
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		return err
	}
	s.keyFile = filepath.Join(s.dir, "key.pem")
	s.clientID, s.keyID, s.sourceID = credentials.ClientID, credentials.KeyID, credentials.Client.Sources[0]
	return os.WriteFile(s.keyFile, credentials.PEM, 0o600)
}

// document is a file of size bytes at S3; it is made once.
func (s *stage) document(ctx context.Context, size int) (key string, err error) {
	if key, ok := s.stored[size]; ok {
		return key, nil
	}
	key = fmt.Sprintf("%d.pdf", size)
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(pdf(size)), ContentType: aws.String("application/pdf"),
	})
	s.stored[size] = key
	return key, err
}

// pdf is a PDF as far as anyone looks.
func pdf(size int) []byte {
	const start, line, end = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "0123456789 bench\n", "\nstartxref\n9\n%%EOF\n"
	data := make([]byte, size)
	for n := copy(data, start); n < size; n += len(line) {
		copy(data[n:], line)
	}
	copy(data[size-len(end):], end)
	return data
}

// redox starts the receiver of a row.
func (s *stage) redox(ctx context.Context, r row) (*devstack.ServerProcess, string, error) {
	options := receiverOptions{Delay: r.Delay}
	if r.TLS {
		options.CertFile = filepath.Join(s.dir, "receiver.pem")
	}
	receiver, err := s.receive(ctx, options)
	return receiver, options.CertFile, err
}

func (s *stage) receive(ctx context.Context, options receiverOptions) (*devstack.ServerProcess, error) {
	return devstack.StartProcess(ctx, receiverRole().Name, options)
}

// queue starts nats-servers with nothing in them and lets Chartpost make its streams.
// One that is synced writes each message to the disk before it confirms it.
func (s *stage) queue(ctx context.Context, synced bool) (*queue, error) {
	dir, err := os.MkdirTemp(s.dir, "nats-")
	if err != nil {
		return nil, err
	}
	q := &queue{dir: dir, failed: make(chan error, 1)}
	options := devstack.NATSOptions{Dir: dir, LazySync: !synced && !s.synced}
	start := func(ctx context.Context, o devstack.NATSOptions) (*devstack.ServerProcess, error) {
		return devstack.StartNATSBinary(ctx, s.nats, o)
	}
	if s.replicas > 1 {
		cluster, err := devstack.StartNATSCluster(ctx, start, s.replicas, options)
		if err != nil {
			return nil, err
		}
		q.servers, q.stop = cluster.Nodes, cluster.Close
	} else {
		server, err := start(ctx, options)
		if err != nil {
			return nil, err
		}
		q.servers, q.stop = []*devstack.ServerProcess{server}, server.Kill
	}
	cmd := exec.CommandContext(ctx, s.chartpost, "setup", "--nats-url", q.url(), "--prefix", prefix, "--replicas", strconv.Itoa(s.replicas))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("chartpost setup: %w: %s", err, out), q.close())
	}
	if err := q.connect(); err != nil {
		return nil, errors.Join(err, q.close())
	}
	return q, nil
}

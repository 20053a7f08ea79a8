package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// server is the S3 server of this process.
type server struct {
	url   string
	stop  context.CancelFunc
	ended chan error
}

// startWithin bounds a hang; a start takes milliseconds.
const startWithin = 2 * time.Minute

// start returns when the server takes requests. The port must be free. From here
// on the working directory is the folder of the objects: the posix backend names
// files relative to it.
func start(o options) (*server, error) {
	dirs, err := prepare(o)
	if err != nil {
		return nil, err
	}
	accounts, err := accountsOf(o, dirs)
	if err != nil {
		return nil, err
	}
	backend, err := posix.New(dirs.objects, meta.XattrMeta{}, posix.PosixOpts{
		VersioningDir: dirs.versions,
		// The zero value would refuse every copy; this is the limit of S3.
		CopyObjectThreshold: 5 << 30,
	})
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	listens := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	s := &server{url: "http://" + address, stop: stop, ended: make(chan error, 1)}
	go func() {
		s.ended <- embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
			RootUserAccess:    o.AccessKey,
			RootUserSecret:    o.SecretKey,
			Region:            o.Region,
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

// await returns when the server listens.
func (s *server) await(listens <-chan struct{}) error {
	select {
	case <-listens:
		return nil
	case err := <-s.ended:
		s.stop()
		return err
	case <-time.After(startWithin):
		s.stop()
		return errors.Join(errors.New("it does not listen"), <-s.ended)
	}
}

// close stops the server and waits until it has stopped.
func (s *server) close() error {
	s.stop()
	return <-s.ended
}

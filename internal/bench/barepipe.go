package main

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strconv"

	"github.com/chartpost/chartpost/internal/devstack"
)

// runPipe measures the bare pipe at the same work.
func (s *stage) runPipe(ctx context.Context, r row, receiver *devstack.ServerProcess, authority, hashes string) (out sample, err error) {
	key, err := s.document(ctx, r.Size)
	if err != nil {
		return sample{}, err
	}
	cmd := exec.Command(s.pipe, "-s3", s.s3.URL(), "-bucket", bucket, "-key", key, "-redox", receiver.URL(), "-ca", authority, "-blob-host", blobHost,
		"-hash", hashes, "-slots", strconv.Itoa(r.Slots), "-warm", strconv.Itoa(r.Warm), "-files", strconv.Itoa(r.Jobs))
	cmd.Env = s.environment()
	in, err := cmd.StdinPipe()
	if err != nil {
		return sample{}, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	p, err := s.start(cmd, "pipe")
	if err != nil {
		return sample{}, err
	}
	defer func() {
		_ = in.Close() // tells the pipe to end; one that has ended has closed it
		<-p.done
		err = errors.Join(err, p.ended())
	}()
	w := watch{pids: []int{p.pid()}}
	lines := bufio.NewScanner(said)
	for _, to := range []*moment{&w.began, &w.ended} {
		if !lines.Scan() {
			return sample{}, errors.New("the pipe ended before it was done")
		}
		*to = w.now()
	}
	return w.sample(r.Jobs, r.Size)
}

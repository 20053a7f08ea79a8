package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/chartpost/chartpost/schemas"
)

var errInterrupted = errors.New("interrupted while the input was read; nothing was done")

// interruptible reads in until ctx ends. A read of a terminal or of a pipe cannot
// be broken off: it outlives a Ctrl-C, at which the process ends.
func interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	out, feed := io.Pipe()
	stop := context.AfterFunc(ctx, func() { feed.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(feed, in)
		stop()
		feed.CloseWithError(err)
	}()
	return out
}

// readLimited reads one byte more than a job may have, so that a larger one is
// refused as too large and not as cut off.
func readLimited(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, schemas.MaxJobSize+1))
}

// cause is what the system says of a file, without its path: the path of a
// document can name a patient.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

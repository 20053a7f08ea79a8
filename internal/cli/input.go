package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/chartpost/chartpost/schemas"
)

// ErrInterrupted is for input that was not read to its end.
var ErrInterrupted = errors.New("interrupted while the input was read; nothing was done")

// Interruptible reads in until ctx ends. A read of a terminal or of a pipe cannot
// be broken off: it outlives a Ctrl-C, at which the process ends.
func Interruptible(ctx context.Context, in io.Reader) io.ReadCloser {
	out, feed := io.Pipe()
	stop := context.AfterFunc(ctx, func() { feed.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(feed, in)
		stop()
		feed.CloseWithError(err)
	}()
	return out
}

// ReadLimited reads one byte more than a job may have, so that a larger one is
// refused as too large and not as cut off.
func ReadLimited(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, schemas.MaxJobSize+1))
}

// Cause is what the system says of a file, without its path: the path of a
// document can name a patient.
func Cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

package backfill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/manifest"
)

// TestHidePath: an error says of which file it is, and not its name.
func TestHidePath(t *testing.T) {
	of := func(path string) error { return &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC} }
	flags := &manifestFlags{Manifest: "archive/Zebedee.csv"}
	const noSpace = "no space left on device"
	for _, c := range []struct {
		err  error
		want string
	}{
		{of(flags.Manifest), "the manifest: " + noSpace},
		{fmt.Errorf("line 7: %w", of(flags.Manifest)), "the manifest: line 7: " + noSpace},
		{fmt.Errorf("reading the manifest: %w", of(flags.Manifest)), "reading the manifest: " + noSpace},
		{fmt.Errorf("a temporary file for the job ids: %w", of(filepath.Join(os.TempDir(), "Zebedee"))), "a temporary file for the job ids: " + noSpace + " (TMPDIR)"},
		{fmt.Errorf("writing: %w", of("/elsewhere/Zebedee")), "writing: " + noSpace},
		{errors.New("as it is"), "as it is"},
	} {
		err := flags.hidePath(c.err)
		if err.Error() != c.want || c.want != "as it is" && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := (outFile{noRoom{}}).Write([]byte("x")); err == nil || err.Error() != "--out: "+noSpace {
		t.Error(err)
	}
	moved := &os.LinkError{Op: "rename", Old: "Zebedee", New: "Zebedee", Err: syscall.EXDEV}
	if err := cli.Cause(moved); err != syscall.EXDEV {
		t.Error(err)
	}
	if f, ok := errors.AsType[*cli.Failure](flags.unreadable(fmt.Errorf("line 7: %w", manifest.ErrGzip))); !ok || f.Code != cli.ExitUsage {
		t.Error(f)
	}
}

// noRoom is a disk without room.
type noRoom struct{}

func (noRoom) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

package backfill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/inventory"
	"github.com/chartpost/chartpost/internal/s3source"
)

// fromFlags make a manifest of what a bucket has.
type fromFlags struct {
	From string `placeholder:"s3://BUCKET/PREFIX" help:"Make the manifest of the objects there, or of the S3 Inventory whose manifest.json it names: CSV with the columns bucket, key, size, modified and etag. It is written to the file <manifest>, and read from there once that is there." percall:""`
}

// check holds the address, and the manifest that is made of it, to what can be done.
func (f fromFlags) check(manifest string) error {
	if f.From == "" {
		return nil
	}
	var faults []error
	if bucket, isS3 := strings.CutPrefix(f.From, "s3://"); !isS3 || bucket == "" || strings.HasPrefix(bucket, "/") {
		faults = append(faults, errors.New("--from must look like s3://BUCKET/PREFIX, or s3://BUCKET/…/manifest.json for an S3 Inventory"))
	}
	if manifest == "-" || strings.HasPrefix(manifest, "s3://") {
		faults = append(faults, errors.New("<manifest>: must be a file beside --from: the list of objects is written to it"))
	}
	return errors.Join(faults...)
}

// objects are those that --from names.
func (f fromFlags) objects(ctx context.Context, source *s3source.Source) iter.Seq2[inventory.Object, error] {
	o := objects{ctx, source}
	all := o.list(f.From)
	if isReport(f.From) {
		all = o.report(f.From)
	}
	return func(yield func(inventory.Object, error) bool) {
		for object, err := range all {
			if err != nil {
				err = named(err, "--from")
			}
			if !yield(object, err) {
				return
			}
		}
	}
}

// stream gives the manifest as it is listed, and keeps nothing.
func (f fromFlags) stream(ctx context.Context, source *s3source.Source) io.ReadCloser {
	read, write := io.Pipe()
	go func() {
		out := bufio.NewWriter(write)
		_, err := inventory.Write(ctx, out, f.objects(ctx, source))
		if err == nil {
			err = out.Flush()
		}
		write.CloseWithError(err) // nil is the end of the manifest
	}()
	return read
}

// save lists into the file of the manifest, unless that is there. The file gets its name
// when it is whole.
func (f fromFlags) save(ctx context.Context, std cli.Streams, source *s3source.Source, name string) error {
	switch _, err := os.Stat(name); {
	case err == nil:
		fmt.Fprintln(std.Err, "the manifest is there already: nothing is listed")
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return cli.Usage(fmt.Errorf("the manifest: %w", cli.Cause(err)))
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".chartpost-list-*")
	if err != nil {
		return cli.Usage(fmt.Errorf("the manifest: %w", cli.Cause(err)))
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var listed atomic.Int64
	stop := cli.ShowLine(std, func() string { return fmt.Sprintf("%d objects listed", listed.Load()) })
	n, err := inventory.Write(ctx, file, counted(f.objects(ctx, source), &listed))
	stop()
	if err != nil {
		return err
	}
	if n == 0 {
		return cli.Usage(errors.New("--from: no object is listed there; no manifest was written"))
	}
	if err = file.Sync(); err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("the manifest: %w", cli.Cause(err))
	}
	fmt.Fprintf(std.Err, "%d objects were listed into the manifest; keep it: the run and its report need it\n", n)
	return nil
}

// counted counts objects as they pass.
func counted(all iter.Seq2[inventory.Object, error], n *atomic.Int64) iter.Seq2[inventory.Object, error] {
	return func(yield func(inventory.Object, error) bool) {
		for object, err := range all {
			n.Add(1)
			if !yield(object, err) {
				return
			}
		}
	}
}

package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/inventory"
	"github.com/chartpost/chartpost/internal/s3source"
)

// sizeFlags say where the sizes of files come from.
type sizeFlags struct {
	Head            bool     `help:"Ask S3 for the size of every file." percall:""`
	List            []string `sep:"none" placeholder:"s3://BUCKET/PREFIX" help:"List these objects for the size of every file; repeatable." percall:""`
	Inventory       []string `placeholder:"FILE" help:"S3 Inventory that has the size of every file: s3://BUCKET/KEY of its manifest.json, or a CSV file of it, here or in S3; repeatable." percall:""`
	InventoryFields []string `name:"inventory-columns" default:"bucket,key,size" help:"Columns of the CSV files of --inventory, in their order; a manifest.json says them itself."`
	InventoryKeys   string   `default:"url" enum:"url,plain" placeholder:"url" help:"How a CSV file of --inventory writes keys: url-encoded, as S3 does, or plain."`
	HeadConcurrency int      `default:"64" help:"Questions to S3 at once."`
}

// listings reports whether sizes come from a list of objects.
func (f sizeFlags) listings() bool { return len(f.Inventory)+len(f.List) > 0 }

// objects are those of all lists and inventories.
func (c *planCmd) objects(ctx context.Context, source *s3source.Source) iter.Seq2[planning.Object, error] {
	o := objects{ctx, source}
	return func(yield func(planning.Object, error) bool) {
		for i, name := range c.Sizes.List {
			if !under(o.list(name), fmt.Sprintf("--list, number %d", i+1), yield) {
				return
			}
		}
		for i, name := range c.Sizes.Inventory {
			if !under(c.inventory(o, name), fmt.Sprintf("--inventory, number %d", i+1), yield) {
				return
			}
		}
	}
}

// under passes objects on; an error gets the name of the flag. It reports whether to go on.
func under(all iter.Seq2[inventory.Object, error], flag string, yield func(planning.Object, error) bool) bool {
	for one, err := range all {
		if err != nil {
			err = named(err, flag)
		}
		if !yield(planning.Object{Bucket: one.Bucket, Key: one.Key, Size: one.Size}, err) || err != nil {
			return false
		}
	}
	return true
}

// named says in which flag an error was met. A line that is none is a wrong input.
func named(err error, flag string) error {
	wrapped := fmt.Errorf("%s: %w", flag, err)
	if _, ok := errors.AsType[*inventory.LineError](err); ok {
		return cli.Usage(wrapped)
	}
	return wrapped
}

func (c *planCmd) inventory(o objects, name string) iter.Seq2[inventory.Object, error] {
	if isReport(name) {
		return o.report(name)
	}
	return func(yield func(inventory.Object, error) bool) {
		columns, err := inventory.NewColumns(c.Sizes.InventoryFields)
		if err != nil {
			yield(inventory.Object{}, cli.Usage(fmt.Errorf("--inventory-columns: %w", err)))
			return
		}
		o.file(name, columns, inventory.Encoding(c.Sizes.InventoryKeys), yield)
	}
}

// isReport reports whether an address is that of a report of S3 Inventory.
func isReport(name string) bool {
	return strings.HasPrefix(name, "s3://") && path.Base(name) == inventory.ReportFile
}

// objects reads lists of objects.
type objects struct {
	ctx    context.Context
	source *s3source.Source
}

// list asks S3 for the objects of s3://BUCKET/PREFIX.
func (o objects) list(address string) iter.Seq2[inventory.Object, error] {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
	return func(yield func(inventory.Object, error) bool) {
		for one, err := range o.source.List(o.ctx, bucket, prefix) {
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, cli.AdviceS3)
			}
			object := inventory.Object{Bucket: bucket, Key: one.Key, Size: one.Size, Modified: one.Modified, ETag: bare(one.ETag)}
			if !yield(object, err) || err != nil {
				return
			}
		}
	}
}

// bare is an ETag as S3 Inventory writes it. A weak one names no bytes.
func bare(etag string) string {
	if strings.HasPrefix(etag, "W/") {
		return ""
	}
	return strings.Trim(etag, `"`)
}

// report reads a report of S3 Inventory, whose data files are in its own bucket.
func (o objects) report(address string) iter.Seq2[inventory.Object, error] {
	return func(yield func(inventory.Object, error) bool) {
		from, err := openStored(o.ctx, o.source, "the inventory", address)
		if err != nil {
			yield(inventory.Object{}, err)
			return
		}
		report, err := inventory.ReadReport(from)
		from.Close()
		if err != nil {
			yield(inventory.Object{}, cli.Usage(fmt.Errorf("the inventory: %w", err)))
			return
		}
		bucket, _, _ := strings.Cut(strings.TrimPrefix(address, "s3://"), "/")
		for _, key := range report.Keys {
			if !o.file("s3://"+bucket+"/"+key, report.Columns, inventory.URL, yield) {
				return
			}
		}
	}
}

// file reads one data file, and reports whether to go on.
func (o objects) file(name string, columns inventory.Columns, keys inventory.Encoding, yield func(inventory.Object, error) bool) bool {
	from, err := openStored(o.ctx, o.source, "the inventory", name)
	if err != nil {
		yield(inventory.Object{}, err)
		return false
	}
	defer from.Close()
	for object, err := range inventory.Read(io.Reader(from), columns, keys) {
		if err == nil {
			err = context.Cause(o.ctx)
		}
		if !yield(object, err) || err != nil {
			return false
		}
	}
	return true
}

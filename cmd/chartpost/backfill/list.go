package backfill

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/internal/s3source"
)

// sizeFlags say where the sizes of files come from.
type sizeFlags struct {
	Head            bool     `help:"Ask S3 for the size of every file." percall:""`
	List            []string `sep:"none" placeholder:"s3://BUCKET/PREFIX" help:"List these objects for the size of every file; repeatable." percall:""`
	Inventory       []string `placeholder:"FILE" help:"S3 Inventory as CSV, a file or s3://BUCKET/KEY, that has the size of every file; repeatable." percall:""`
	InventoryFields []string `name:"inventory-columns" default:"bucket,key,size" help:"Columns of the inventory in their order; bucket, key and size are read."`
	InventoryKeys   string   `default:"url" enum:"url,plain" placeholder:"url" help:"How the inventory writes keys: url-encoded, as S3 does, or plain."`
	HeadConcurrency int      `default:"64" help:"Questions to S3 at once."`
}

// listings tells whether sizes come from a list of objects.
func (f sizeFlags) listings() bool { return len(f.Inventory)+len(f.List) > 0 }

// objects lists S3, and reads the files of an inventory. It has no header line, and its keys
// are URL-encoded (S3 docs, "Amazon S3 Inventory list").
func (c *planCmd) objects(ctx context.Context, source *s3source.Source) iter.Seq2[backfill.Object, error] {
	return func(yield func(backfill.Object, error) bool) {
		for i, name := range c.List {
			bucket, prefix, _ := strings.Cut(strings.TrimPrefix(name, "s3://"), "/")
			for one, err := range source.List(ctx, bucket, prefix) {
				if err != nil {
					err = fmt.Errorf("--list, number %d: %w\n%s", i+1, err, cli.AdviceS3)
				}
				if !yield(backfill.Object{Bucket: bucket, Key: one.Key, Size: one.Size}, err) || err != nil {
					return
				}
			}
		}
		for i, name := range c.Inventory {
			what := fmt.Sprintf("--inventory, number %d", i+1)
			more, err := c.inventory(ctx, source, what, name, yield)
			if err != nil {
				yield(backfill.Object{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

func (c *planCmd) inventory(ctx context.Context, source *s3source.Source, what, name string, yield func(backfill.Object, error) bool) (more bool, err error) {
	from, err := openStored(ctx, source, what, name)
	if err != nil {
		return false, err
	}
	defer from.Close()
	reader, err := manifest.NewReader(from, manifest.Options{Format: manifest.CSV, Delimiter: ',', Columns: c.InventoryFields})
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	for row, err := range manifest.Rows(reader) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		object, fault := c.object(row)
		if fault != "" {
			return false, cli.Usage(fmt.Errorf("%s: line %d: %s", what, row.Number, fault))
		}
		if !yield(object, nil) {
			return false, nil
		}
	}
	return true, nil
}

// object reads one line; it says what is wrong with it, without its values.
func (c *planCmd) object(row manifest.Row) (o backfill.Object, fault string) {
	if row.Fault != nil {
		return o, row.Fault.Error()
	}
	column := func(name string) string { return row.Values[slices.Index(c.InventoryFields, name)] }
	o = backfill.Object{Bucket: column("bucket"), Key: column("key")}
	var err error
	if c.InventoryKeys == "url" {
		if o.Key, err = url.QueryUnescape(o.Key); err != nil {
			return o, "the key is not URL-encoded; see --inventory-keys"
		}
	}
	if o.Size, err = strconv.ParseInt(column("size"), 10, 64); err != nil || o.Size < 0 {
		return o, "the size is not a whole number of bytes; see --inventory-columns"
	}
	return o, ""
}

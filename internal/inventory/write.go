package inventory

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// SizeColumn is the column of a written manifest that has the size of an object, in bytes.
const SizeColumn = "size"

// header is the header line of a written manifest.
var header = []string{"bucket", "key", SizeColumn, "modified", "etag"}

// Write writes objects as a manifest in CSV, with a header line. Times are RFC 3339 in UTC.
// It gives the number of objects.
func Write(ctx context.Context, to io.Writer, objects iter.Seq2[Object, error]) (n int64, err error) {
	out := csv.NewWriter(to)
	if err := out.Write(header); err != nil {
		return 0, fmt.Errorf("writing the manifest: %w", err)
	}
	for object, err := range objects {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return n, err
		}
		modified := ""
		if !object.Modified.IsZero() {
			modified = object.Modified.UTC().Format(time.RFC3339)
		}
		row := []string{object.Bucket, object.Key, strconv.FormatInt(object.Size, 10), modified, object.ETag}
		if err := out.Write(row); err != nil {
			return n, fmt.Errorf("writing the manifest: %w", err)
		}
		n++
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return n, fmt.Errorf("writing the manifest: %w", err)
	}
	return n, nil
}

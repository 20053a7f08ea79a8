package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/inventory"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// ManifestGroup is the heading of the flags that say what a manifest is. They
// are no settings of a deployment.
const ManifestGroup = "Manifest"

// manifestFlags name a manifest and its template.
type manifestFlags struct {
	Manifest string `arg:"" optional:"" help:"Manifest: a file, s3://BUCKET/KEY, or - for standard input; CSV or NDJSON, plain or gzip."`

	Template string `type:"path" placeholder:"FILE" help:"YAML or JSON file that makes a job of each line. Without it each line of an NDJSON manifest is a job."`
}

// readingFlags say how to read a manifest. A run keeps them.
type readingFlags struct {
	Format       string        `default:"auto" enum:"auto,csv,ndjson" placeholder:"auto" help:"csv, ndjson, or auto: NDJSON where the first byte is a brace."`
	Delimiter    string        `default:"auto" enum:"auto,comma,semicolon,tab,bar" placeholder:"auto" help:"Between the fields of CSV: comma, semicolon, tab, bar, or auto: what a first line sep= says, else what stands most often in the first line."`
	Encoding     string        `default:"auto" enum:"auto,utf-8,utf-16,windows-1252" placeholder:"auto" help:"utf-8, utf-16, windows-1252, or auto: UTF-8, or UTF-16 where its byte order mark is there."`
	Columns      []string      `placeholder:"NAME" help:"Names of the columns, where the manifest has no header line."`
	SizeColumn   string        `placeholder:"NAME" help:"Column with the size of a job's files, in bytes."`
	ExpiresAfter time.Duration `default:"720h" help:"How long after the start of the run its jobs are tried, where they do not say so themselves."`
}

// listed says how a manifest is read that a list of objects was written to.
func (c *readingFlags) listed() {
	if c.SizeColumn == "" {
		c.SizeColumn = inventory.SizeColumn
	}
}

// template reads the template, if there is one.
func (c *manifestFlags) template() (*manifest.Template, int64, error) {
	if c.Template == "" {
		return nil, 0, nil
	}
	file, err := os.Open(c.Template)
	if err != nil {
		return nil, 0, fmt.Errorf("--template: %w", cli.Cause(err))
	}
	defer file.Close()
	data, err := cli.ReadLimited(file)
	if err != nil {
		return nil, 0, fmt.Errorf("--template: %w", cli.Cause(err))
	}
	t, err := manifest.ParseTemplate(data)
	return t, int64(len(data)), err
}

// open gives the manifest's bytes as stored.
func (c *manifestFlags) open(ctx context.Context, source *s3source.Source, in io.Reader) (io.ReadCloser, error) {
	if c.Manifest == "-" {
		return cli.Interruptible(ctx, in), nil
	}
	return openStored(ctx, source, "the manifest", c.Manifest)
}

// openStored opens a file, here or in S3.
func openStored(ctx context.Context, source *s3source.Source, what, name string) (io.ReadCloser, error) {
	address, isS3 := strings.CutPrefix(name, "s3://")
	if !isS3 {
		file, err := os.Open(name)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("%s: %w", what, cli.Cause(err)))
		}
		return file, nil
	}
	bucket, key, _ := strings.Cut(address, "/")
	if bucket == "" || key == "" {
		return nil, cli.Usage(fmt.Errorf("%s: must look like s3://BUCKET/KEY", what))
	}
	object, err := source.Open(ctx, schemas.File{Bucket: bucket, Key: key}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", what, err, cli.AdviceS3)
	}
	return object.Body, nil
}

// hidePath takes the name of a file out of an error, which can name a patient,
// and leaves what the error says of it.
func (c *manifestFlags) hidePath(err error) error {
	of, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return err
	}
	text := strings.Replace(err.Error(), of.Error(), of.Err.Error(), 1)
	switch {
	case of.Path == c.Manifest && !strings.Contains(text, "the manifest"):
		text = "the manifest: " + text
	case filepath.Dir(of.Path) == filepath.Clean(os.TempDir()):
		text += " (TMPDIR)"
	}
	return &pathless{text, of.Err}
}

// unreadable is hidePath, for what was met while a manifest was read: one that is
// broken is a wrong input.
func (c *manifestFlags) unreadable(err error) error {
	if errors.Is(err, manifest.ErrGzip) {
		return cli.Usage(err)
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Scope == fault.Store && !strings.Contains(err.Error(), cli.AdviceS3) {
		return fmt.Errorf("%w\n%s", c.hidePath(err), cli.AdviceS3)
	}
	return c.hidePath(err)
}

// pathless is an error whose text has lost the name of a file.
type pathless struct {
	text string
	err  error
}

func (p *pathless) Error() string { return p.text }
func (p *pathless) Unwrap() error { return p.err }

func (c *readingFlags) reading() backfill.Reading {
	return backfill.Reading{
		Format: c.Format, Delimiter: c.Delimiter, Encoding: c.Encoding, Columns: c.Columns, SizeColumn: c.SizeColumn, ExpiresAfter: c.ExpiresAfter,
	}
}

// options are a reading in the words of the reader.
func options(r backfill.Reading) manifest.Options {
	o := manifest.Options{Columns: r.Columns}
	if r.Format != "auto" {
		o.Format = manifest.Format(r.Format)
	}
	if r.Encoding != "auto" {
		o.Encoding = manifest.Encoding(r.Encoding)
	}
	o.Delimiter = map[string]byte{"comma": ',', "semicolon": ';', "tab": '\t', "bar": '|'}[r.Delimiter]
	return o
}

// describe says how a manifest is read. Names of columns are shown on a terminal alone: they
// can be patient data where a file lacks its header line.
func describe(reader *manifest.Reader, terminal bool) string {
	columns := reader.Columns()
	text := fmt.Sprintf("the manifest is read as %s, with %d columns", reader.Format(), len(columns))
	if d := reader.Delimiter(); d != 0 {
		text = fmt.Sprintf("the manifest is read as CSV with the delimiter %q, and has %d columns", d, len(columns))
	}
	if terminal && len(columns) > 0 {
		text += ": " + strings.Join(columns, ", ")
	}
	return text
}

package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// uploadFlags bring a local file to S3 before its job is published.
type uploadFlags struct {
	Upload string `type:"path" placeholder:"FILE" help:"Local file to put into S3 first: to where the job file's first file is, or into --bucket." percall:""`
	Bucket string `placeholder:"BUCKET" help:"Bucket for --upload without a job file."`
	Key    string `placeholder:"KEY" help:"Key for --upload without a job file; default outbox/<job id>/<file name>." percall:""`
}

// check holds the flags together. Whether a job file is given decides.
func (u uploadFlags) check(jobFile bool, files int) error {
	var faults []error
	if !jobFile && u.Upload == "" && files == 0 {
		faults = append(faults, errors.New("--upload FILE or --file s3://BUCKET/KEY is required without a job file"))
	}
	if !jobFile && u.Upload != "" && u.Bucket == "" {
		faults = append(faults, fmt.Errorf("--bucket (%s) is required with --upload", app.EnvironmentName("bucket")))
	}
	if u.Upload != "" {
		if about, err := os.Stat(u.Upload); err != nil {
			faults = append(faults, fmt.Errorf("--upload: %w", cli.Cause(err)))
		} else if !about.Mode().IsRegular() {
			faults = append(faults, errors.New("--upload: must be a regular file"))
		}
	}
	return errors.Join(faults...)
}

// target is where the file goes and what it is, of a job made of flags.
func (u uploadFlags) target(f *jobFlags) ([]schemas.File, error) {
	if u.Upload == "" {
		return nil, nil
	}
	one := schemas.File{Bucket: u.Bucket, Key: u.Key, Title: f.Title, ContentType: f.ContentType}
	if one.Key == "" {
		one.Key = path.Join("outbox", f.ID, filepath.Base(u.Upload))
	}
	if one.ContentType == "" {
		detected, err := mimetype.DetectFile(u.Upload)
		if err != nil {
			return nil, fmt.Errorf("--upload: %w", cli.Cause(err))
		}
		one.ContentType, _, _ = strings.Cut(detected.String(), ";")
	}
	return []schemas.File{one}, nil
}

// put brings the local file to where the job says it is.
func (u uploadFlags) put(ctx context.Context, s app.S3, to schemas.File) error {
	if to.ETag != "" || to.VersionID != "" || to.SHA256 != "" {
		return cli.Usage(errors.New("--upload: /files/0 of the job names the exact object (version_id, etag or sha256) that an upload would replace; take these out, or leave --upload out"))
	}
	file, err := os.Open(u.Upload)
	if err != nil {
		return cli.Usage(fmt.Errorf("--upload: %w", cli.Cause(err)))
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("--upload: %w", cli.Cause(err))
	}
	source, err := app.Source(ctx, s, app.Delivery{Concurrency: 1, Stall: time.Minute})
	if err != nil {
		return err
	}
	_, err = source.Put(ctx, s3source.Upload{Bucket: to.Bucket, Key: to.Key, ContentType: to.ContentType, Body: file, Size: size})
	if err != nil {
		return fmt.Errorf("--upload: %w\n%s", err, cli.AdviceS3At(s.Endpoint))
	}
	return nil
}

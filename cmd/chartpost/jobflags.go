package main

import (
	"crypto/rand"
	"encoding/json"
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
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// jobFlags name a job: as a file, or piece by piece.
type jobFlags struct {
	Job string `arg:"" optional:"" placeholder:"JOB.json" help:"Job as JSON; - reads standard input. Without it the flags below make one."`

	To          string            `placeholder:"SLUG" help:"Destination slug." group:"Job"`
	Environment string            `name:"redox-environment" placeholder:"NAME" help:"Development, Staging or Production." group:"Job"`
	Operation   string            `default:"documentreference-create" help:"What the message does." group:"Job"`
	Patient     string            `type:"existingfile" placeholder:"FILE" help:"FHIR Patient as JSON." group:"Job"`
	Resource    string            `type:"existingfile" placeholder:"FILE" help:"FHIR resource as JSON, without its attachment. A DocumentReference defaults to status current and today's date." group:"Job"`
	Entry       []string          `type:"existingfile" placeholder:"FILE" help:"Further FHIR resources as JSON." group:"Job"`
	File        []string          `placeholder:"s3://BUCKET/KEY" help:"File that is in S3 already." group:"Job"`
	Upload      string            `type:"existingfile" placeholder:"FILE" help:"Local file to put into S3 first: where the job's first file says, or under --bucket." group:"Job"`
	Bucket      string            `placeholder:"BUCKET" help:"Bucket for --upload." group:"Job"`
	Key         string            `placeholder:"KEY" help:"Key for --upload; default outbox/<job id>/<file name>." group:"Job"`
	Title       string            `placeholder:"TEXT" help:"Title of the file; default its name." group:"Job"`
	ContentType string            `placeholder:"TYPE" help:"MIME type of the file; default what its bytes say." group:"Job"`
	Transfer    string            `default:"auto" enum:"auto,upload,embed" help:"auto, upload or embed." group:"Job"`
	ID          string            `placeholder:"ID" help:"Job id, the idempotency key; default a new one." group:"Job"`
	ExpiresIn   time.Duration     `default:"72h" help:"How long the job is tried." group:"Job"`
	Correlation map[string]string `placeholder:"KEY=VALUE" help:"Echoed in every event. Keep patients out of it." group:"Job"`
}

// load gives the job's bytes and the job they hold, checked as the worker will
// check it.
func (f *jobFlags) load(in io.Reader, now time.Time) ([]byte, schemas.Job, error) {
	data, err := f.read(in, now)
	if err != nil {
		return nil, schemas.Job{}, usage(err)
	}
	job, err := schemas.DecodeJob(data)
	if err != nil {
		return nil, job, usage(explain(err))
	}
	if err := compose.Check(job); err != nil {
		return nil, job, usage(fmt.Errorf("the job's message: %w", err))
	}
	return data, job, nil
}

// explain shows what is wrong with a job to its author: on this terminal, and
// nowhere else, the offending key may be shown as it was written.
func explain(err error) error {
	invalid, ok := errors.AsType[*schemas.Invalid](err)
	if !ok {
		return err
	}
	lines := []string{"the job cannot be understood:"}
	for _, p := range invalid.Problems {
		line := "  " + p.String()
		if key := p.Key(); key != "" {
			line += fmt.Sprintf(" (the key is %q)", key)
		}
		lines = append(lines, line)
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (f *jobFlags) read(in io.Reader, now time.Time) ([]byte, error) {
	switch f.Job {
	case "":
		return f.build(now)
	case "-":
		return readLimited(in)
	}
	file, err := os.Open(f.Job)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readLimited(file)
}

// readLimited reads one byte more than a job may have, so that a larger one is
// refused as too large and not as cut off.
func readLimited(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, schemas.MaxJobSize+1))
}

// build makes a job of the flags.
func (f *jobFlags) build(now time.Time) ([]byte, error) {
	if err := f.missing(); err != nil {
		return nil, err
	}
	if f.ID == "" {
		f.ID = "send-" + now.UTC().Format("20060102") + "-" + strings.ToLower(rand.Text()[:10])
	}
	message, err := f.message(now)
	if err != nil {
		return nil, err
	}
	files, err := f.files()
	if err != nil {
		return nil, err
	}
	job := schemas.Job{
		ID: f.ID, Operation: f.Operation, Files: files, Transfer: schemas.Transfer(f.Transfer), Message: message,
		Destination: schemas.Destination{Slug: f.To, Environment: schemas.Environment(f.Environment)},
		RequestedAt: now.UTC().Truncate(time.Second), ExpiresAt: now.UTC().Add(f.ExpiresIn).Truncate(time.Second),
		Correlation: f.Correlation,
	}
	return json.Marshal(job)
}

func (f *jobFlags) missing() error {
	var faults []error
	need := func(ok bool, text string) {
		if !ok {
			faults = append(faults, errors.New(text))
		}
	}
	need(f.To != "", "--to is required without a job file: the slug of the destination")
	need(f.Environment != "", "--redox-environment ("+app.EnvironmentName("redox-environment")+") is required without a job file: Development, Staging or Production")
	need(f.Patient != "", "--patient is required without a job file: a FHIR Patient as JSON")
	need(f.Upload != "" || len(f.File) > 0, "--upload FILE or --file s3://BUCKET/KEY is required without a job file")
	need(f.Upload == "" || f.Bucket != "", "--bucket is required with --upload")
	need(f.Resource != "" || f.Operation == "documentreference-create", "--resource is required for this operation")
	return errors.Join(faults...)
}

// message puts the caller's resources together. They are taken as they are.
func (f *jobFlags) message(now time.Time) (json.RawMessage, error) {
	parts := struct {
		Patient  json.RawMessage   `json:"patient"`
		Resource json.RawMessage   `json:"resource"`
		Entries  []json.RawMessage `json:"entries,omitempty"`
	}{}
	var err error
	if parts.Patient, err = resource("--patient", f.Patient); err != nil {
		return nil, err
	}
	if f.Resource == "" {
		parts.Resource = fmt.Appendf(nil, `{"resourceType":"DocumentReference","status":"current","date":%q}`, now.UTC().Format(time.RFC3339))
	} else if parts.Resource, err = resource("--resource", f.Resource); err != nil {
		return nil, err
	}
	for _, name := range f.Entry {
		entry, err := resource("--entry", name)
		if err != nil {
			return nil, err
		}
		parts.Entries = append(parts.Entries, entry)
	}
	return json.Marshal(parts)
}

func resource(flag, name string) (json.RawMessage, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	defer file.Close()
	data, err := readLimited(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%s: %s is not JSON", flag, name)
	}
	return data, nil
}

func (f *jobFlags) files() ([]schemas.File, error) {
	var files []schemas.File
	if f.Upload != "" {
		name := filepath.Base(f.Upload)
		one := schemas.File{Bucket: f.Bucket, Key: f.Key, Title: f.Title, ContentType: f.ContentType}
		if one.Key == "" {
			one.Key = path.Join("outbox", f.ID, name)
		}
		if one.ContentType == "" {
			detected, err := mimetype.DetectFile(f.Upload)
			if err != nil {
				return nil, fmt.Errorf("--upload: %w", err)
			}
			one.ContentType, _, _ = strings.Cut(detected.String(), ";")
		}
		files = append(files, one)
	}
	for _, object := range f.File {
		bucket, key, ok := strings.Cut(strings.TrimPrefix(object, "s3://"), "/")
		if !ok || !strings.HasPrefix(object, "s3://") || key == "" {
			return nil, errors.New("--file must look like s3://BUCKET/KEY")
		}
		files = append(files, schemas.File{Bucket: bucket, Key: key, Title: f.Title, ContentType: f.ContentType})
	}
	return files, nil
}

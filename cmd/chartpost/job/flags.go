package job

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// jobFlags make a job piece by piece, where no job file is given.
type jobFlags struct {
	To          string            `placeholder:"SLUG" help:"Destination slug." percall:""`
	Environment string            `name:"redox-environment" placeholder:"NAME" help:"Development, Staging or Production."`
	Operation   string            `default:"documentreference-create" placeholder:"NAME" help:"What the message does; default documentreference-create."`
	Patient     string            `type:"path" placeholder:"FILE" help:"FHIR Patient as JSON." percall:""`
	Resource    string            `type:"path" placeholder:"FILE" help:"FHIR resource as JSON, without its attachment. Without it a DocumentReference with status current and today's date." percall:""`
	Entry       []string          `type:"path" sep:"none" placeholder:"FILE" help:"Further FHIR resource as JSON; repeatable." percall:""`
	File        []string          `sep:"none" placeholder:"s3://BUCKET/KEY" help:"File that is in S3 already; repeatable." percall:""`
	Title       string            `placeholder:"TEXT" help:"Title of the file; default its name." percall:""`
	ContentType string            `placeholder:"TYPE" help:"MIME type of the file; default what the object or its bytes say." percall:""`
	Transfer    string            `default:"auto" enum:"auto,upload,embed" placeholder:"auto" help:"auto, upload or embed; auto embeds small files."`
	ID          string            `placeholder:"ID" help:"Job id, the idempotency key; default a new one." percall:""`
	After       string            `placeholder:"ID" help:"Id of a job of the same destination that must be accepted first." percall:""`
	ExpiresIn   time.Duration     `default:"72h" help:"How long the job is tried."`
	Correlation map[string]string `placeholder:"KEY=VALUE" help:"Echoed in every event; repeatable. Keep patients out of it." percall:""`
}

// withJob says what is missing where the flags make the job, and which flags
// would do nothing where a file holds it: k knows which were written by hand.
func (f *jobFlags) withJob(job string, k *kong.Context, beside ...string) error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if job != "" {
		for _, path := range k.Path {
			if at := path.Flag; at != nil && at.Group != nil && at.Group.Key == cli.JobGroup && !path.Resolved {
				fault(!slices.Contains(beside, at.Name), "--%s does nothing beside a job file: put it into the job", at.Name)
			}
		}
		return errors.Join(faults...)
	}
	const without = "is required without a job file: "
	fault(f.To == "", "--to "+without+"the slug of the destination")
	fault(f.Environment == "", "--redox-environment (%s) "+without+"Development, Staging or Production", app.EnvironmentName("redox-environment"))
	fault(f.Patient == "", "--patient "+without+"a file with a FHIR Patient as JSON")
	op, known := compose.Lookup(f.Operation)
	fault(known && f.Resource == "" && f.Operation != "documentreference-create", "--resource is required for this --operation: a file with a FHIR resource as JSON")
	fault(!known, "--operation: must be %s", cli.Alternatives(fhirOperations()))
	fault(known && op.API != compose.FHIR, "--operation: these flags make FHIR messages only; write a job file for one of the Data Model")
	fault(f.ExpiresIn <= 0, "--expires-in must be more than 0")
	return errors.Join(faults...)
}

// fhirOperations are the names of the operations that flags can make a job of.
func fhirOperations() []string {
	var names []string
	for _, op := range compose.Operations() {
		if op.API == compose.FHIR {
			names = append(names, op.Name)
		}
	}
	return names
}

// newID is a job id that tells when it was made.
func newID(now time.Time) string {
	return "send-" + now.UTC().Format("20060102") + "-" + strings.ToLower(rand.Text()[:10])
}

// build makes a job of the flags, with first before the files in S3.
func (f *jobFlags) build(now time.Time, first []schemas.File) ([]byte, error) {
	message, messageErr := f.message(now)
	files, filesErr := f.files()
	if err := errors.Join(messageErr, filesErr); err != nil {
		return nil, err
	}
	files = append(first, files...)
	if f.Title != "" && len(files) > 1 {
		return nil, fmt.Errorf("--title is for one file, and there are %d: write a job file", len(files))
	}
	job := schemas.Job{
		ID: f.ID, Operation: f.Operation, Files: files, Transfer: schemas.Transfer(f.Transfer), Message: message,
		Destination: schemas.Destination{Slug: f.To, Environment: schemas.Environment(f.Environment)},
		RequestedAt: now.UTC().Truncate(time.Second), ExpiresAt: now.UTC().Add(f.ExpiresIn).Truncate(time.Second),
		After: f.After, Correlation: f.Correlation,
	}
	return json.Marshal(job)
}

// message puts the caller's resources together. They are taken as they are.
func (f *jobFlags) message(now time.Time) (json.RawMessage, error) {
	parts := struct {
		Patient  json.RawMessage   `json:"patient"`
		Resource json.RawMessage   `json:"resource"`
		Entries  []json.RawMessage `json:"entries,omitempty"`
	}{Resource: fmt.Appendf(nil, `{"resourceType":"DocumentReference","status":"current","date":%q}`, now.UTC().Format(time.RFC3339))}
	var faults []error
	read := func(flag, path string) (data json.RawMessage) {
		data, err := readJSON(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", flag, err))
		}
		return data
	}
	parts.Patient = read("--patient", f.Patient)
	if f.Resource != "" {
		parts.Resource = read("--resource", f.Resource)
	}
	for i, path := range f.Entry {
		parts.Entries = append(parts.Entries, read(fmt.Sprintf("--entry, number %d", i+1), path))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return json.Marshal(parts)
}

// readJSON reads a file that must be JSON. The error does not say its name.
func readJSON(path string) (json.RawMessage, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cli.Cause(err)
	}
	defer file.Close()
	data, err := cli.ReadLimited(file)
	switch {
	case err != nil:
		return nil, cli.Cause(err)
	case len(data) > schemas.MaxJobSize:
		return nil, fmt.Errorf("the file is larger than a whole job may be (%d bytes)", schemas.MaxJobSize)
	case !json.Valid(data):
		return nil, errors.New("the file is not JSON")
	}
	return data, nil
}

// files are those that are in S3 already.
func (f *jobFlags) files() ([]schemas.File, error) {
	var files []schemas.File
	for i, object := range f.File {
		address, isS3 := strings.CutPrefix(object, "s3://")
		bucket, key, _ := strings.Cut(address, "/")
		if !isS3 || bucket == "" || key == "" {
			return nil, fmt.Errorf("--file, number %d: must look like s3://BUCKET/KEY", i+1)
		}
		files = append(files, schemas.File{Bucket: bucket, Key: key, Title: f.Title, ContentType: f.ContentType})
	}
	return files, nil
}

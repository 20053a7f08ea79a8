package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// samplesRun sends the sample documents once and keeps count of them.
type samplesRun struct {
	world *world
	queue *natsq.Conn
	run   time.Time
	// open are the jobs that have not ended; wrong those that ended otherwise
	// than accepted.
	open  map[string]bool
	wrong []string
}

// destination is where the samples go.
const destination = "good-health"

// submit puts the documents into the bucket and publishes a job for each. The
// scan and the photograph are uploaded, the others embedded, so that both ways
// are seen.
func (r *samplesRun) submit(ctx context.Context) error {
	source, err := app.Source(ctx, r.world.settings.S3, r.world.settings.Delivery)
	if err != nil {
		return err
	}
	for _, doc := range samples.Documents() {
		if _, err := source.Put(ctx, s3source.Upload{
			Bucket: bucket, Key: doc.Name, ContentType: doc.ContentType, Body: bytes.NewReader(doc.Bytes), Size: int64(len(doc.Bytes)),
		}); err != nil {
			return fmt.Errorf("putting %s into the bucket: %w", doc.Name, err)
		}
		job := r.job(doc)
		data, err := json.MarshalIndent(job, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.world.dir, "job-"+doc.Short+".json"), data, 0o600); err != nil {
			return err
		}
		r.open[job.ID] = true
		lane := schemas.Lane{Class: schemas.Live, Destination: destination}
		if err := r.queue.Outbox().Submit(ctx, lane, job.ID, data); err != nil {
			return fmt.Errorf("publishing the job %s: %w", job.ID, err)
		}
	}
	return r.world.writePatient()
}

// writePatient leaves one alone that is there: it may have been edited.
func (w *world) writePatient() error {
	file, err := os.OpenFile(filepath.Join(w.dir, "patient.json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.Write(samples.Patient())
	return errors.Join(err, file.Close())
}

func (r *samplesRun) job(doc samples.Document) schemas.Job {
	transfer := schemas.Auto
	if strings.HasPrefix(doc.ContentType, "image/") {
		transfer = schemas.Upload
	}
	message := fmt.Appendf(nil, `{"patient": %s, "resource": %s, "entries": [%s]}`, samples.Patient(), doc.Reference, samples.Practitioner())
	return schemas.Job{
		ID:          fmt.Sprintf("sample-%s-%s", strconv.FormatInt(r.run.UnixMilli(), 36), doc.Short),
		Operation:   "documentreference-create",
		Destination: schemas.Destination{Slug: destination, Environment: schemas.Development},
		Files:       []schemas.File{{Bucket: bucket, Key: doc.Name, ContentType: doc.ContentType}},
		Transfer:    transfer,
		Message:     message,
		RequestedAt: r.run.UTC().Truncate(time.Second),
	}
}

// ended notes an event and tells whether it ended the last open sample.
func (r *samplesRun) ended(e schemas.Event) bool {
	if !r.open[e.Data.JobID] || !e.Data.Status.Final() {
		return false
	}
	delete(r.open, e.Data.JobID)
	if e.Data.Status != schemas.StatusAccepted {
		r.wrong = append(r.wrong, e.Data.JobID)
	}
	return len(r.open) == 0
}

func (r *samplesRun) failure() error {
	if len(r.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("these samples were not accepted: %s", strings.Join(r.wrong, ", "))
}

func (w *world) printAddresses(out io.Writer) {
	fmt.Fprintf(out, `Chartpost, the whole world on this machine. Everything here is a simulation; data lives in %s.

  NATS       %s
  S3         %s  (bucket %s)
  Redox      %s  (simulator)
  intake     %s  (HTTP; takes jobs, files, and questions about both)
  log        %s

`, w.dir, w.settings.NATS.URL, w.settings.S3.Endpoint, bucket, w.settings.Redox.APIURL, w.intake, filepath.Join(w.dir, "worker.log"))
}

func (w *world) printTryIt(out io.Writer) {
	fmt.Fprintf(out, `
The samples have ended. In another terminal, from this folder:

  . %[1]s/env
  curl -s --data-binary @YOUR.pdf "$INTAKE/v1/files?name=YOUR.pdf"      # the README has the next command
  bin/chartpost send --to %[2]s --patient %[1]s/patient.json --upload YOUR.pdf
  bin/chartpost check
  bin/chartpost preview %[1]s/job-pdf.json
  curl -s %[3]s/_sim/messages       # what the simulated chart received
  curl -s %[3]s/_sim/messages/1     # the first message of it
  nats -s %[4]s pub chartpost.jobs.live.%[2]s --jetstream --force-stdin --no-templates < YOUR-JOB.json

Ctrl-C ends it.

`, w.dir, destination, w.settings.Redox.APIURL, w.settings.NATS.URL)
}

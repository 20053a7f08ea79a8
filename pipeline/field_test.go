package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// fieldCase is a file as programs in the field write it, with what the store and the job
// say of it. Want is the type that Redox is told, or the code of the refusal.
type fieldCase struct {
	Name, File, Key   string
	Zeros             int
	Store, Job, Title string
	Operation         string
	StoreError        string `json:"store_error"`
	Want              string
}

const fieldFolder = "../testdata/field"

// TestFilesOfTheField carries each from a real object store to the simulator of Redox.
func TestFilesOfTheField(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(fieldFolder, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []fieldCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 49 {
		t.Fatalf("%d cases", len(cases))
	}
	w := newWorld(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(fieldFolder, c.File))
			if err != nil {
				t.Fatal(err)
			}
			job := fieldJob(c)
			before := len(w.sim.Messages())
			if c.StoreError != "" {
				err = w.refusedByStore(t, c, job)
			} else {
				err = w.putAndDeliver(t, c, job, append(data, make([]byte, c.Zeros)...))
			}
			messages := w.sim.Messages()
			if strings.HasPrefix(c.Want, "file_") {
				wantFault(t, err, fault.Permanent, c.Want, "")
				if len(messages) != before {
					t.Error("a message was sent")
				}
				return
			}
			if err != nil || len(messages) != before+1 {
				t.Fatalf("%d messages, %v", len(messages)-before, err)
			}
			if f := messages[before].Files; len(f) != 1 || f[0].ContentType != c.Want {
				t.Errorf("Redox was told %+v, want %s", f, c.Want)
			}
		})
	}
}

// fieldJob is a job of its own for each case.
func fieldJob(c fieldCase) schemas.Job {
	job := jobOf(schemas.Auto, schemas.File{Bucket: testBucket, Key: c.Name + "/" + c.Key, ContentType: c.Job, Title: c.Title})
	job.ID = c.Name
	if c.Operation != "" {
		job.SourceID = simSource
		job.Operation, job.Destination = c.Operation, schemas.Destination{ID: "af394f14-b34a-464f-8d24-895f370af4c9", Environment: schemas.Development}
		job.Message = json.RawMessage(`{"Meta":{},"Patient":{"Identifiers":[{"ID":"1","IDType":"MR"}]},"Note":{"DocumentType":"Report","Provider":{"ID":"1"}}}`)
	}
	return job
}

func (w *world) putAndDeliver(t *testing.T, c fieldCase, job schemas.Job, data []byte) error {
	t.Helper()
	if _, err := w.source.Put(t.Context(), s3source.Upload{Bucket: testBucket, Key: job.Files[0].Key, ContentType: c.Store, Body: bytes.NewReader(data), Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.deliver(t.Context(), job)
	return err
}

// refusedByStore delivers from a store that answers with an error of S3's.
func (w *world) refusedByStore(t *testing.T, c fieldCase, job schemas.Job) error {
	t.Helper()
	store := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/xml")
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(rw, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no</Message></Error>`, c.StoreError)
	}))
	defer store.Close()
	source, err := s3source.New(t.Context(), s3source.Config{Endpoint: store.URL, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	was := w.line
	defer func() { w.line = was }()
	w.line = between(source, w.gate)
	_, _, err = w.deliver(t.Context(), job)
	return err
}

package pipeline_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// putAs stores a file under a type and gives how a job names it.
func (w *world) putAs(key, contentType string, data []byte) schemas.File {
	w.t.Helper()
	file := schemas.File{Bucket: testBucket, Key: w.t.Name() + "/" + key}
	if _, err := w.source.Put(w.t.Context(), s3source.Upload{
		Bucket: testBucket, Key: file.Key, ContentType: contentType, Body: bytes.NewReader(data), Size: int64(len(data)),
	}); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// TestTypesInTheMessage: Redox is sent the registered name with its charset, by
// every try and on both ways, and the event says who said so.
func TestTypesInTheMessage(t *testing.T) {
	latin, jpg := []byte("M\xfcller \x96 o. B.\r\n"), []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\xff\xd9")
	inMessage := func(contentType string) func(*schemas.Job) {
		return func(j *schemas.Job) {
			j.Message = json.RawMessage(strings.Replace(string(j.Message), `"status":"current"`, `"status":"current","content":[{"attachment":{"contentType":"`+contentType+`"}}]`, 1))
		}
	}
	inJob := func(contentType string) func(*schemas.Job) {
		return func(j *schemas.Job) { j.Files[0].ContentType = contentType }
	}
	for name, c := range map[string]struct {
		state              func(*schemas.Job)
		stored             string
		data               []byte
		sent, told, source string
	}{
		"charset of the store's":      {func(*schemas.Job) {}, "text/plain; charset=windows-1252", latin, "text/plain; charset=windows-1252", "text/plain", "bytes"},
		"charset of the job's":        {inJob("text/plain; charset=windows-1252"), "text/plain", latin, "text/plain; charset=windows-1252", "text/plain", "job"},
		"charset of the message's":    {inMessage("text/plain; charset=windows-1252"), "", latin, "text/plain; charset=windows-1252", "text/plain", "job"},
		"alias of the store's":        {func(*schemas.Job) {}, "image/jpg", jpg, "image/jpeg", "image/jpeg", "bytes"},
		"alias of the job's":          {inJob("image/pjpeg"), "", jpg, "image/jpeg", "image/jpeg", "job"},
		"alias of the message's":      {inMessage("image/jpg"), "", jpg, "image/jpeg", "image/jpeg", "job"},
		"nothing of the message's":    {inMessage("application/octet-stream"), "", jpg, "image/jpeg", "image/jpeg", "bytes"},
		"text beside RTF":             {func(*schemas.Job) {}, "text/plain", []byte(`{\rtf1\ansi x}`), "text/rtf", "text/rtf", "bytes"},
		"charset with a made-up type": {inJob("text/kanarienvogel; charset=iso-8859-1"), "", latin, "text/kanarienvogel; charset=iso-8859-1", "text/plain", "job"},
	} {
		for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			t.Run(name+", "+string(transfer), func(t *testing.T) {
				w := newWorld(t)
				job := jobOf(transfer, w.putAs("a", c.stored, c.data))
				c.state(&job)
				w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1})
				_, _, err := w.deliver(t.Context(), job)
				wantFault(t, err, fault.UnknownOutcome, "", "")
				if _, _, err := w.deliver(t.Context(), job); err != nil {
					t.Fatal(err)
				}
				for _, m := range w.sim.Messages() {
					if len(m.Files) != 1 || m.Files[0].ContentType != c.sent {
						t.Errorf("Redox took %+v, want a file of %s", m.Files, c.sent)
					}
				}
				if transfer == schemas.Upload && w.sim.Uploads()[0].ContentType != c.sent {
					t.Errorf("uploaded as %s", w.sim.Uploads()[0].ContentType)
				}
				kept, _ := w.found()
				told := kept.EventFiles()
				if len(told) != 1 || told[0].ContentType != c.told || told[0].TypeSource != c.source {
					t.Errorf("an event says %+v, want %s by %s", told, c.told, c.source)
				}
			})
		}
	}
}

// TestRefusedBeforeTheUpload: what no message can name is refused before its
// first byte is sent.
func TestRefusedBeforeTheUpload(t *testing.T) {
	w := newWorld(t)
	job := jobOf(schemas.Upload, w.putAs(" ", "application/pdf", []byte("%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n0\n%%EOF\n")))
	job.Operation, job.Destination = schemas.MediaNew, schemas.Destination{ID: "dest-1", Environment: schemas.Development}
	job.Message = json.RawMessage(`{"Patient":{"Identifiers":[{"ID":"1","IDType":"MR"}]},"Media":{"DocumentType":"Report","Provider":{"ID":"1"},"Availability":"Available"}}`)
	_, _, err := w.deliver(t.Context(), job)
	wantFault(t, err, fault.Permanent, "element_missing", "/files/0/title")
	w.took(0, 0)
}

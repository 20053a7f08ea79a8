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

// TestATypeOfOnesOwn: a file's type may be made up of a patient's name. Redox is
// sent the one that message or job state, by every try, and what the ledger and
// events say is the one that falls under.
func TestATypeOfOnesOwn(t *testing.T) {
	const own = "text/kanarienvogel"
	inMessage := func(j *schemas.Job, _ *schemas.File) {
		j.Message = json.RawMessage(strings.Replace(string(j.Message), `"status":"current"`, `"status":"current","content":[{"attachment":{"contentType":"`+own+`"}}]`, 1))
	}
	inJob := func(j *schemas.Job, f *schemas.File) { f.ContentType = own }
	for name, c := range map[string]struct {
		state  func(*schemas.Job, *schemas.File)
		stored string
		sent   string
	}{
		"the message's": {inMessage, "application/pdf", own},
		"the job's":     {inJob, "application/pdf", own},
		"the store's":   {func(*schemas.Job, *schemas.File) {}, own, "text/plain"},
	} {
		for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			t.Run(name+", "+string(transfer), func(t *testing.T) {
				w := newWorld(t)
				file := schemas.File{Bucket: testBucket, Key: t.Name()}
				body := document(500, "a")
				if _, err := w.source.Put(t.Context(), s3source.Upload{
					Bucket: file.Bucket, Key: file.Key, ContentType: c.stored, Body: bytes.NewReader(body), Size: int64(len(body)),
				}); err != nil {
					t.Fatal(err)
				}
				job := jobOf(transfer, file)
				c.state(&job, &job.Files[0])
				w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1})
				for try := range 2 {
					record, _, err := w.deliver(t.Context(), job)
					if try == 0 {
						wantFault(t, err, fault.UnknownOutcome, "", "")
					} else if err != nil {
						t.Fatal(err)
					}
					entry, err := w.bucket.Get(t.Context(), jobKey.Tokens())
					if err != nil {
						t.Fatal(err)
					}
					if text := string(entry.Value()); strings.Contains(text, "kanarienvogel") || !strings.Contains(text, `"content_type":"text/plain"`) {
						t.Errorf("the ledger says %s", text)
					}
					kept, _ := w.found()
					for _, told := range [][]schemas.EventFile{record.EventFiles(), kept.EventFiles()} {
						if len(told) != 1 || told[0].ContentType != "text/plain" {
							t.Errorf("an event says %+v", told)
						}
					}
				}
				m := w.sim.Messages()
				if len(m) != 2 || m[0].Body.SHA256 != m[1].Body.SHA256 || len(m[0].Files) != 1 || m[0].Files[0].ContentType != c.sent {
					t.Errorf("Redox took %+v, want twice the same with a file of %s", m, c.sent)
				}
				if transfer == schemas.Upload && w.sim.Uploads()[0].ContentType != c.sent {
					t.Errorf("uploaded as %s", w.sim.Uploads()[0].ContentType)
				}
			})
		}
	}
}

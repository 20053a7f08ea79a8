package pipeline_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// TestAfterOneOfTwoUploads: the file that is at Redox stays there, whether the
// try ended in a fault or the worker was killed at that moment.
func TestAfterOneOfTwoUploads(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(map[bool]string{false: "failed", true: "killed"}[killed], func(t *testing.T) {
			w := newWorld(t)
			asked := jobOf(schemas.Upload, w.put("a.txt", document(2000, "a")), w.put("b.txt", document(3000, "b")))
			w.inject(redoxsim.UploadRequest, redoxsim.Fault{Action: redoxsim.StatusAfterBody, Status: 503, Skip: 1, Times: 3})
			record, told, err := w.deliver(t.Context(), asked)
			wantFault(t, err, fault.Retryable, "redox_status_503", "/files/1")
			if len(told.told) != 0 || urls(record) != 1 {
				t.Errorf("told %d times with %d urls", len(told.told), urls(record))
			}
			if !killed {
				w.keep(record)
			}
			kept, _ := w.found()
			if urls(kept) != 1 || kept.Files[0].SHA256 != sha(document(2000, "a")) || kept.Files[1].Pin == nil {
				t.Fatalf("the ledger keeps %+v", kept.Files)
			}
			if _, told, err = w.deliver(t.Context(), asked); err != nil {
				t.Fatal(err)
			}
			w.took(2, 1)
			if len(told.told) != 1 {
				t.Errorf("told of the uploads %d times", len(told.told))
			}
			files := w.sim.Messages()[0].Files
			if len(files) != 2 || files[0].SHA256 != sha(document(2000, "a")) || files[1].SHA256 != sha(document(3000, "b")) || files[0].URL != kept.Files[0].URL {
				t.Errorf("the chart holds %+v", files)
			}
		})
	}
}

// TestAfterAllUploads: only the message is tried again, with the same bytes, and
// without a look at the store: the files may be gone from there.
func TestAfterAllUploads(t *testing.T) {
	w := newWorld(t)
	file := w.put("a.txt", document(2000, "a"))
	asked := jobOf(schemas.Upload, file)
	w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 3})
	record, told, err := w.deliver(t.Context(), asked)
	wantFault(t, err, fault.Retryable, "redox_status_503", "")
	if record.Phase != job.Working || len(told.told) != 1 {
		t.Errorf("the record says %s, told %d times", record.Phase, len(told.told))
	}
	w.keep(record)
	store := s3dev.Client(storeURL(t), s3dev.Options{})
	if _, err := store.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(file.Bucket), Key: aws.String(file.Key)}); err != nil {
		t.Fatal(err)
	}
	_, told, err = w.deliver(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(told.told) != 1 {
		t.Error("a try that goes on from the uploads must tell of them, since nobody knows whether the first told")
	}
	w.took(1, 1)
}

// TestAfterSending: an outcome nobody knows is never tried again by itself, and
// the ledger keeps saying so; whoever goes on sends the same bytes.
func TestAfterSending(t *testing.T) {
	for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		t.Run(string(transfer), func(t *testing.T) {
			w := newWorld(t)
			asked := jobOf(transfer, w.put("a.txt", document(2000, "a")))
			w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1})
			record, _, err := w.deliver(t.Context(), asked)
			wantFault(t, err, fault.UnknownOutcome, "", "")
			if kept, _ := w.found(); kept.Phase != job.Sending || record.Phase != job.Sending {
				t.Fatalf("the ledger says %s, the record %s", kept.Phase, record.Phase)
			}
			if n := len(w.sim.Messages()); n != 1 {
				t.Fatalf("%d messages after one try", n)
			}
			record, _, err = w.deliver(t.Context(), asked)
			if err != nil || record.Phase != job.Accepted {
				t.Fatalf("%s, %v", record.Phase, err)
			}
			m := w.sim.Messages()
			if len(m) != 2 || m[0].BundleID != m[1].BundleID || m[0].DocumentID != m[1].DocumentID || m[0].Body.SHA256 != m[1].Body.SHA256 {
				t.Errorf("the second of %d messages is not the first", len(m))
			}
		})
	}
}

// replace puts other bytes under a file's key.
func (w *world) replace(file schemas.File, data []byte) {
	w.t.Helper()
	store := s3dev.Client(storeURL(w.t), s3dev.Options{})
	if _, err := store.PutObject(context.Background(), &s3.PutObjectInput{
		Bucket: aws.String(file.Bucket), Key: aws.String(file.Key), Body: bytes.NewReader(data),
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestThePinOutlivesTheTry: what was read first is sent, or nothing is: for a
// file that was surveyed and not yet read, one that is read again in its slot,
// and one of a later try.
func TestThePinOutlivesTheTry(t *testing.T) {
	t.Run("between survey and reading", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.put("a.txt", document(2000, "a")), w.put("b.txt", document(2000, "b"))
		w.watch(func(what string) { w.watch(nil); w.replace(b, document(2000, "c")) })
		_, _, err := w.deliver(t.Context(), jobOf(schemas.Upload, a, b))
		wantFault(t, err, fault.Permanent, "file_changed", "/files/1")
		w.took(1, 0)
	})
	t.Run("between two tries in the slot", func(t *testing.T) {
		w := newWorld(t)
		a := w.put("a.txt", document(2000, "a"))
		w.inject(redoxsim.UploadRequest, redoxsim.Fault{Action: redoxsim.StatusAfterBody, Status: 503, Times: 1})
		tries := 0
		w.watch(func(string) {
			if tries++; tries == 1 {
				// The first request is under way with its body open.
				w.replace(a, document(2000, "b"))
			}
		})
		_, _, err := w.deliver(t.Context(), jobOf(schemas.Upload, a))
		wantFault(t, err, fault.Permanent, "file_changed", "/files/0")
		w.took(0, 0)
	})
	t.Run("between two embedded tries", func(t *testing.T) {
		w := newWorld(t)
		a := w.put("a.txt", document(500, "a"))
		w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 3})
		asked := jobOf(schemas.Embed, a)
		record, _, err := w.deliver(t.Context(), asked)
		wantFault(t, err, fault.Retryable, "redox_status_503", "")
		w.keep(record)
		w.replace(a, document(500, "b"))
		_, _, err = w.deliver(t.Context(), asked)
		wantFault(t, err, fault.Permanent, "file_changed", "/files/0")
		w.took(0, 0)
	})
}

// TestTooLargeAcrossTries: that a message was too large is remembered, so that a
// later try uploads at once; a caller who wants it embedded is told no.
func TestTooLargeAcrossTries(t *testing.T) {
	w := newWorld(t)
	w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 413, Times: 1})
	w.inject(redoxsim.UploadRequest, redoxsim.Fault{Action: redoxsim.StatusAfterBody, Status: 503, Times: 3})
	asked := jobOf(schemas.Auto, w.put("a.txt", document(500, "a")))
	record, _, err := w.deliver(t.Context(), asked)
	wantFault(t, err, fault.Retryable, "redox_status_503", "/files/0")
	if !record.NoEmbed || record.Phase != job.Working {
		t.Errorf("no_embed %t, phase %s", record.NoEmbed, record.Phase)
	}
	w.keep(record)
	posts := 0
	w.watch(func(what string) {
		if what == "message" {
			posts++
		}
	})
	record, told, err := w.deliver(t.Context(), asked)
	if err != nil || record.Files[0].Transfer != schemas.Upload || len(told.told) != 1 || posts != 1 {
		t.Errorf("%v, by %s, %d posts", err, record.Files[0].Transfer, posts)
	}
	w.took(1, 1)
}

// TestTooLargeWithoutItsFiles: a 413 of a message that only names its files is
// final.
func TestTooLargeWithoutItsFiles(t *testing.T) {
	w := newWorld(t)
	w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 413, Times: 2})
	_, _, err := w.deliver(t.Context(), jobOf(schemas.Auto, w.put("b.txt", document(500, "b"))))
	wantFault(t, err, fault.Permanent, pipeline.CodeMessageTooLarge, "")
	w.took(1, 0)
}

// TestTheRightBytes: the digest that a job demands is held to in both ways of
// traveling, and a wrong file never arrives.
func TestTheRightBytes(t *testing.T) {
	w := newWorld(t)
	data := document(900, "a")
	file := w.put("a.txt", data)
	for i, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		wrong, right := file, file
		wrong.SHA256, right.SHA256 = sha([]byte("another")), sha(data)
		asked := jobOf(transfer, wrong)
		asked.ID = "wrong-" + string(transfer)
		_, _, err := w.deliver(t.Context(), asked)
		wantFault(t, err, fault.Permanent, "file_hash_mismatch", "/files/0")
		w.took(min(i, 1), i)
		asked = jobOf(transfer, right)
		asked.ID = "right-" + string(transfer)
		record, _, err := w.deliver(t.Context(), asked)
		if err != nil || record.Files[0].SHA256 != sha(data) || (record.Files[0].SHA1 != nil) != (transfer == schemas.Upload) {
			t.Errorf("%s: %v, %+v", transfer, err, record.Files)
		}
		w.took(1, i+1)
	}
}

// TestAWrongFileAmongGoodOnes: the others may be at Redox by then, and no message
// names them.
func TestAWrongFileAmongGoodOnes(t *testing.T) {
	for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		t.Run(string(transfer), func(t *testing.T) {
			w := newWorld(t)
			good, wrong := w.put("a.txt", document(100, "a")), w.put("b.txt", document(100, "b"))
			wrong.SHA256 = sha([]byte("another"))
			_, told, err := w.deliver(t.Context(), jobOf(transfer, good, wrong))
			wantFault(t, err, fault.Permanent, "file_hash_mismatch", "/files/1")
			if len(told.told) != 0 {
				t.Error("told that every file is at Redox")
			}
			if n := len(w.sim.Messages()); n != 0 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// TestBothWaysOfMany: ten files travel each way, in their order.
func TestBothWaysOfMany(t *testing.T) {
	w := newWorld(t)
	var files []schemas.File
	for i := range 10 {
		files = append(files, w.put(string(rune('a'+i))+".txt", document(50+i, string(rune('a'+i)))))
	}
	for n, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		asked := jobOf(transfer, files...)
		asked.ID = string(transfer)
		if _, _, err := w.deliver(t.Context(), asked); err != nil {
			t.Fatal(err)
		}
		chart := w.sim.Messages()[n].Files
		if len(chart) != len(files) {
			t.Fatalf("%s: %d files in the chart", transfer, len(chart))
		}
		for i, f := range chart {
			if want := string(rune('a'+i)) + ".txt"; f.SHA256 != sha(document(50+i, string(rune('a'+i)))) || f.Title != want {
				t.Errorf("%s: place %d holds %s, want %s", transfer, i, f.Title, want)
			}
		}
	}
}

// TestPreviewSendsNothing and builds the very bytes that are sent.
func TestPreviewSendsNothing(t *testing.T) {
	w := newWorld(t)
	asked := jobOf(schemas.Embed, w.put("a.txt", document(500, "a")))
	request, err := w.line.Preview(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	body, err := request.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var preview bytes.Buffer
	if n, err := preview.ReadFrom(body); err != nil || n != request.Size {
		t.Fatalf("%d of %d bytes, %v", n, request.Size, err)
	}
	w.took(0, 0)
	if _, _, err := w.deliver(t.Context(), asked); err != nil {
		t.Fatal(err)
	}
	if got := w.sim.Messages()[0].Body.SHA256; got != sha(preview.Bytes()) {
		t.Error("what was sent is not what was shown")
	}
}

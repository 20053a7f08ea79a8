package redoxclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/redoxclient"
)

func (w *world) uploadBlob(ctx context.Context, name string, body redoxclient.Body) (*redoxclient.Upload, error) {
	return w.client.UploadBlob(ctx, redoxclient.BlobRequest{SourceID: w.source, FileName: name, ContentType: "application/pdf", Body: body})
}

func (w *world) sendDataModel(ctx context.Context, contents string) (*redoxclient.Receipt, error) {
	return w.client.SendDataModel(ctx, redoxclient.DataModelRequest{Body: redoxclient.Bytes(note(w.source, contents))})
}

func note(source, contents string) []byte {
	return fmt.Appendf(nil, `{"Meta":{"DataModel":"Notes","EventType":"New","EventDateTime":"2026-11-20T10:00:00.000Z","Test":true,
"Source":{"ID":%q},"Destinations":[{"ID":"dest-1"},{"ID":"dest-2"}]},"Patient":{"Identifiers":[{"ID":"CANARY","IDType":"MR"}]},
"Note":{"ContentType":"Base64 Encoded","DocumentType":"t","DocumentID":"d1","Provider":{"ID":"p"},"FileName":"a.pdf","FileContents":%q}}`, source, contents)
}

func TestDataModelAgainstTheSimulator(t *testing.T) {
	w := start(t, "ES384")
	for _, size := range []int{1, 40 << 10, 3_000_000} {
		file := bytes.Repeat([]byte("x"), size)
		up, err := w.uploadBlob(t.Context(), "Größe 1/2.pdf", redoxclient.Bytes(file))
		if err != nil {
			t.Fatal(err, w.refusals())
		}
		stored := w.sim.Uploads()
		last := stored[len(stored)-1]
		if last.URL != up.URL || last.Body.Size != int64(size) || last.FileName != "Gr%C3%B6%C3%9Fe 1%2F2.pdf" || last.ContentType != "application/pdf" || up.Status != 201 {
			t.Fatalf("stored %+v as %+v", last, up)
		}
		receipt, err := w.sendDataModel(t.Context(), up.URL)
		if err != nil {
			t.Fatal(err, w.refusals())
		}
		messages := w.sim.Messages()
		m := messages[len(messages)-1]
		if m.Operation != "notes-new" || len(m.Receipt.LogIDs) != 2 || !slices.Equal(receipt.LogIDs, m.Receipt.LogIDs) ||
			receipt.TraceID != m.Receipt.TraceID || m.Files[0].URL != up.URL {
			t.Fatalf("message %+v, receipt %+v", m, receipt)
		}
	}
	_, err := w.sendDataModel(t.Context(), "not base64!")
	check(t, err, redoxclient.Permanent)
	if e, ok := errors.AsType[*redoxclient.Error](err); !ok || e.Status != 400 || len(e.ErrorIDs) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestDataModelRenewsItsToken(t *testing.T) {
	w := start(t, "ES384")
	for range 2 {
		up, err := w.uploadBlob(t.Context(), "a.pdf", redoxclient.Bytes([]byte("%PDF-1.7")))
		if err != nil {
			t.Fatal(err)
		}
		w.sim.RevokeTokens()
		if _, err := w.sendDataModel(t.Context(), up.URL); err != nil {
			t.Fatal(err)
		}
		w.sim.RevokeTokens()
	}
	if n := w.tokenRequests(); n != 4 || len(w.sim.Messages()) != 2 || len(w.sim.Uploads()) != 2 {
		t.Errorf("%d token requests, %d messages", n, len(w.sim.Messages()))
	}
}

func TestDataModelFaultsOfTheSimulator(t *testing.T) {
	const hold, pass = redoxclient.UnknownOutcome, redoxclient.Retryable
	cases := map[redoxsim.Action]struct {
		send, upload redoxclient.Kind // "" is success
		status       int
	}{
		redoxsim.AnswerStatus:          {redoxclient.RateLimited, redoxclient.RateLimited, 429},
		redoxsim.StatusAfterBody:       {redoxclient.TooLarge, redoxclient.TooLarge, 413},
		redoxsim.StatusAfterProcessing: {hold, pass, 504},
		redoxsim.Redirect:              {redoxclient.Permanent, redoxclient.Permanent, 0},
		redoxsim.CutBeforeBody:         {hold, pass, 0}, // a small body is in the buffers already
		redoxsim.CutMidBody:            {hold, pass, 0},
		redoxsim.CutAfterBody:          {hold, pass, 0},
		redoxsim.CutAfterProcessing:    {hold, pass, 0},
		redoxsim.AnswerUnreadable:      {hold, pass, 0},
		redoxsim.AnswerCut:             {hold, pass, 0},
		redoxsim.AnswerOversized:       {hold, pass, 0},
		redoxsim.AnswerEmpty:           {"", pass, 0},
		redoxsim.NoLocation:            {"", "", 0},
		redoxsim.PlainLocation:         {"", redoxclient.Permanent, 0},
		redoxsim.ForeignLocation:       {"", redoxclient.Permanent, 0},
		redoxsim.ErrorOutcome:          {redoxclient.Permanent, "", 0},
		redoxsim.ErrorEntry:            {redoxclient.Permanent, "", 0},
		redoxsim.ErrorHeaderFatal:      {redoxclient.Permanent, "", 0},
		redoxsim.ErrorHeaderTransient:  {pass, "", 0},
		redoxsim.ErrorMeta:             {redoxclient.Permanent, "", 0},
	}
	w := start(t, "ES384")
	for action, tc := range cases {
		inject := func(t *testing.T, kind redoxsim.Kind) {
			w.sim.ClearFaults()
			fault := redoxsim.Fault{Match: redoxsim.Match{Kind: kind}, Action: action, Status: tc.status}
			if action == redoxsim.AnswerOversized {
				fault.Bytes = 2 << 20
			}
			if action == redoxsim.Redirect || action == redoxsim.ForeignLocation {
				fault.URL = "https://evil.invalid/CANARY"
			}
			if err := w.sim.Inject(fault); err != nil {
				t.Fatal(err)
			}
		}
		t.Run("send "+string(action), func(t *testing.T) {
			inject(t, redoxsim.MessageRequest)
			_, err := w.sendDataModel(t.Context(), "JVBERi0xLjQK")
			check(t, err, tc.send)
		})
		t.Run("upload "+string(action), func(t *testing.T) {
			inject(t, redoxsim.UploadRequest)
			_, err := w.uploadBlob(t.Context(), "CANARY.pdf", redoxclient.Bytes([]byte("%PDF-1.7")))
			check(t, err, tc.upload)
		})
	}
}

func TestRefusedBlobCostsNoByte(t *testing.T) {
	w := start(t, "ES384")
	var reads int
	body := redoxclient.Body{Size: 32_000_000, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { reads++; return len(p), nil })), nil
	}}
	_, err := w.uploadBlob(t.Context(), "a.pdf", body) // over the simulator's own limit
	check(t, err, redoxclient.TooLarge)
	if reads != 0 {
		t.Errorf("%d reads of the source", reads)
	}
}

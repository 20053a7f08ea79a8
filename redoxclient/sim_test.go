package redoxclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/redoxclient"
)

const operation = "DocumentReference/$documentreference-create"

type world struct {
	sim    *redoxsim.Server
	client *redoxclient.Client
	keys   *redoxsim.Credentials
	file   string
	source string
}

func start(t *testing.T, alg string) *world {
	t.Helper()
	keys, err := redoxsim.GenerateClient(alg)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{keys.Client}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(sim)
	t.Cleanup(func() { web.CloseClientConnections(); web.Close(); _ = sim.Close() })
	w := &world{sim: sim, keys: keys, file: filepath.Join(t.TempDir(), "key.pem"), source: keys.Client.Sources[0]}
	if err := os.WriteFile(w.file, keys.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: keys.ClientID, KeyFile: w.file, KeyID: keys.KeyID, TokenURL: web.URL + "/v2/auth/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := url.Parse(redoxsim.DefaultBlobBase)
	if err != nil {
		t.Fatal(err)
	}
	w.client, err = redoxclient.New(redoxclient.Config{
		APIURL: web.URL, BlobURL: web.URL, Environment: "Development", BlobHosts: []string{blob.Host}, Tokens: tokens,
		// A slow machine's refusal must come before the body all the same.
		Timeouts: redoxclient.Timeouts{Continue: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

func (w *world) upload(ctx context.Context, body []byte) (*redoxclient.Upload, error) {
	return w.client.Upload(ctx, redoxclient.UploadRequest{SourceID: w.source, ContentType: "application/pdf", Body: redoxclient.Bytes(body)})
}

func (w *world) send(ctx context.Context, blob string) (*redoxclient.Receipt, error) {
	return w.client.Send(ctx, redoxclient.SendRequest{
		Destination: "good-health", Path: operation, SourceID: w.source, Body: redoxclient.Bytes(bundle(blob)),
	})
}

func bundle(blob string) []byte {
	const header, patient, document = "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", "urn:uuid:1f8fad5b-d9cb-469f-a165-70867728950e", "urn:uuid:2f8fad5b-d9cb-469f-a165-70867728950e"
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"message","id":"b1","timestamp":"2026-11-20T10:00:00Z","entry":[
{"fullUrl":%q,"resource":{"resourceType":"MessageHeader","eventUri":"https://fhir.redoxengine.com/EventDefinition/DocumentReferenceCreate",
 "source":{"endpoint":"urn:uuid:3f8fad5b-d9cb-469f-a165-70867728950e","name":"test"},"focus":[{"reference":%q}]}},
{"fullUrl":%q,"resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"CANARY"}],
 "name":[{"family":"CANARY","given":["A"]}],"gender":"female","birthDate":"1980-01-01"}},
{"fullUrl":%q,"resource":{"resourceType":"DocumentReference","status":"current","masterIdentifier":{"system":"urn:x","value":"doc-1"},
 "type":{"coding":[{"system":"http://loinc.org","code":"34133-9","display":"Summary"}]},
 "category":[{"coding":[{"system":"http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category","code":"clinical-note"}]}],
 "subject":{"reference":%q},"date":"2026-11-20T10:00:00Z","content":[{"attachment":{"contentType":"application/pdf","title":"a.pdf","url":%q}}]}}]}`,
		header, document, patient, document, patient, blob)
}

func TestAgainstTheSimulator(t *testing.T) {
	for _, alg := range []string{"RS384", "ES384"} {
		t.Run(alg, func(t *testing.T) {
			w := start(t, alg)
			file := bytes.Repeat([]byte("%PDF-1.7 "), 300_000)
			up, err := w.upload(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			stored := w.sim.Uploads()
			if len(stored) != 1 || stored[0].URL != up.URL || stored[0].Body.Size != int64(len(file)) {
				t.Fatalf("stored %+v", stored)
			}
			receipt, err := w.send(t.Context(), up.URL)
			if err != nil {
				t.Fatalf("%v; refused: %v", err, w.refusals())
			}
			if got := w.sim.Messages(); len(got) != 1 || got[0].Destination != "good-health" || receipt.Status != 200 {
				t.Fatalf("messages %+v, receipt %+v", got, receipt)
			}
		})
	}
}

func (w *world) refusals() (all []string) {
	for _, r := range w.sim.Requests() {
		all = append(all, r.Refused...)
	}
	return all
}

func TestRevokedTokensCostOneFetch(t *testing.T) {
	w := start(t, "ES384")
	uploads := func() {
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := w.upload(t.Context(), []byte("%PDF-1.7")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	uploads()
	w.sim.RevokeTokens()
	uploads()
	if n := w.tokenRequests(); n != 2 {
		t.Errorf("%d token requests", n)
	}
}

func (w *world) tokenRequests() (n int) {
	for _, r := range w.sim.Requests() {
		if strings.HasSuffix(r.Path, "/auth/token") {
			n++
		}
	}
	return n
}

func TestKeyRotationAgainstTheSimulator(t *testing.T) {
	w := start(t, "RS384")
	if err := w.client.Authorize(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := redoxsim.GenerateClient("ES384")
	if err != nil {
		t.Fatal(err)
	}
	client := w.keys.Client
	client.Keys = map[string]any{w.keys.KeyID: other.Client.Keys[other.KeyID]}
	if err := w.sim.SetClient(client); err != nil {
		t.Fatal(err)
	}
	w.sim.RevokeTokens()
	_, err = w.upload(t.Context(), []byte("%PDF-1.7"))
	e, ok := errors.AsType[*redoxclient.Error](err)
	if !ok || e.Kind != redoxclient.Credentials || !strings.Contains(err.Error(), w.keys.KeyID) {
		t.Fatalf("got %v", err)
	}
	if err := os.WriteFile(w.file, other.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.upload(t.Context(), []byte("%PDF-1.7")); err != nil {
		t.Fatal(err)
	}
}

func TestFaultsOfTheSimulator(t *testing.T) {
	cases := map[redoxsim.Action]struct {
		send, upload redoxclient.Kind // "" is success
		url          string
		status       int
	}{
		redoxsim.AnswerStatus:          {send: redoxclient.RateLimited, upload: redoxclient.RateLimited, status: 429},
		redoxsim.StatusAfterBody:       {send: redoxclient.TooLarge, upload: redoxclient.TooLarge, status: 413},
		redoxsim.StatusAfterProcessing: {send: redoxclient.UnknownOutcome, upload: redoxclient.Retryable, status: 504},
		redoxsim.Redirect:              {send: redoxclient.Permanent, upload: redoxclient.Permanent, url: "https://example.invalid/CANARY"},
		redoxsim.CutAfterBody:          {send: redoxclient.UnknownOutcome, upload: redoxclient.Retryable},
		redoxsim.CutAfterProcessing:    {send: redoxclient.UnknownOutcome, upload: redoxclient.Retryable},
		redoxsim.AnswerUnreadable:      {send: redoxclient.UnknownOutcome},
		redoxsim.AnswerCut:             {send: redoxclient.UnknownOutcome},
		redoxsim.AnswerOversized:       {send: redoxclient.UnknownOutcome},
		redoxsim.AnswerEmpty:           {},
		redoxsim.NoLocation:            {},
		redoxsim.PlainLocation:         {upload: redoxclient.Permanent},
		redoxsim.ForeignLocation:       {upload: redoxclient.Permanent, url: "https://evil.invalid/CANARY"},
		redoxsim.ErrorOutcome:          {send: redoxclient.Permanent},
		redoxsim.ErrorEntry:            {send: redoxclient.Permanent},
		redoxsim.ErrorHeaderFatal:      {send: redoxclient.Permanent},
		redoxsim.ErrorHeaderTransient:  {send: redoxclient.Retryable},
		redoxsim.ErrorMeta:             {send: redoxclient.Permanent},
	}
	w := start(t, "ES384")
	up, err := w.upload(t.Context(), []byte("%PDF-1.7"))
	if err != nil {
		t.Fatal(err)
	}
	for action, tc := range cases {
		inject := func(t *testing.T, kind redoxsim.Kind) {
			w.sim.ClearFaults()
			if err := w.sim.Inject(redoxsim.Fault{Match: redoxsim.Match{Kind: kind}, Action: action, URL: tc.url, Status: tc.status}); err != nil {
				t.Fatal(err)
			}
		}
		t.Run("send "+string(action), func(t *testing.T) {
			inject(t, redoxsim.MessageRequest)
			_, err := w.send(t.Context(), up.URL)
			check(t, err, tc.send)
		})
		t.Run("upload "+string(action), func(t *testing.T) {
			inject(t, redoxsim.UploadRequest)
			_, err := w.upload(t.Context(), []byte("%PDF-1.7"))
			check(t, err, tc.upload)
		})
	}
}

func check(t *testing.T, err error, want redoxclient.Kind) {
	t.Helper()
	var got redoxclient.Kind
	if e, ok := errors.AsType[*redoxclient.Error](err); ok {
		got = e.Kind
	}
	if got != want || (err != nil) != (want != "") {
		t.Errorf("got %v, want %q", err, want)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "CANARY") {
		t.Errorf("the text leaks: %v", err)
	}
}

func TestRefusedUploadCostsNoByte(t *testing.T) {
	w := start(t, "ES384")
	if err := w.sim.Inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.UploadRequest}, Action: redoxsim.AnswerStatus, Status: 413}); err != nil {
		t.Fatal(err)
	}
	var reads int
	body := redoxclient.Body{Size: 30_000_000, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { reads++; return len(p), nil })), nil
	}}
	_, err := w.client.Upload(t.Context(), redoxclient.UploadRequest{SourceID: w.source, ContentType: "application/pdf", Body: body})
	check(t, err, redoxclient.TooLarge)
	if reads != 0 {
		t.Errorf("%d reads of the source", reads)
	}
}

func TestExpectationThatAProxyRefuses(t *testing.T) {
	w := start(t, "ES384")
	once := func(kind redoxsim.Kind) {
		fault := redoxsim.Fault{Match: redoxsim.Match{Kind: kind}, Action: redoxsim.AnswerStatus, Status: 417, Times: 1}
		if err := w.sim.Replace(fault); err != nil {
			t.Fatal(err)
		}
	}
	once(redoxsim.UploadRequest)
	up, err := w.upload(t.Context(), bytes.Repeat([]byte("%PDF-1.7 "), 300_000))
	if err != nil {
		t.Fatal(err)
	}
	once(redoxsim.MessageRequest)
	_, err = w.client.Send(t.Context(), redoxclient.SendRequest{
		Destination: "good-health", Path: operation, SourceID: w.source,
		Body: redoxclient.Bytes(append(bundle(up.URL), bytes.Repeat([]byte(" "), 1<<20)...)),
	})
	if err != nil {
		t.Fatalf("%v; refused: %v", err, w.refusals())
	}
	var got []int
	for _, r := range w.sim.Requests() {
		if got = append(got, r.Status); r.Status == 417 && r.BodyRead != 0 {
			t.Errorf("%d bytes were taken before a 417", r.BodyRead)
		}
	}
	if want := []int{200, 417, 201, 417, 200}; !slices.Equal(got, want) || len(w.sim.Uploads()) != 1 || len(w.sim.Messages()) != 1 {
		t.Errorf("answered %v; %d uploads, %d messages", got, len(w.sim.Uploads()), len(w.sim.Messages()))
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

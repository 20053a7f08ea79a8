package redoxport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
)

// world is a gate before a simulator.
type world struct {
	sim    *redoxsim.Server
	gate   *Gate
	source string
}

func start(t *testing.T) *world {
	t.Helper()
	keys, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{keys.Client}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(sim)
	t.Cleanup(func() { web.CloseClientConnections(); _ = sim.Close(); web.Close() })
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, keys.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: keys.ClientID, KeyFile: file, KeyID: keys.KeyID, TokenURL: web.URL + "/v2/auth/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := url.Parse(redoxsim.DefaultBlobBase)
	if err != nil {
		t.Fatal(err)
	}
	client, err := redoxclient.New(redoxclient.Config{
		APIURL: web.URL, BlobURL: web.URL, BlobHosts: []string{blob.Host}, Environment: "Development", Tokens: tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &world{sim: sim, gate: New(client, nil), source: keys.Client.Sources[0]}
}

const fhirPath = "DocumentReference/$documentreference-create"

// steps are the four ways through the gate.
var steps = []struct {
	name    string
	message bool
	run     func(context.Context, *Gate, pipeline.Payload) error
}{
	{"FHIR file", false, func(ctx context.Context, g *Gate, p pipeline.Payload) error {
		_, err := g.Upload(ctx, pipeline.UploadRequest{Payload: p})
		return err
	}},
	{"Data Model file", false, func(ctx context.Context, g *Gate, p pipeline.Payload) error {
		_, err := g.Upload(ctx, pipeline.UploadRequest{DataModel: true, FileName: "CANARY.pdf", Payload: p})
		return err
	}},
	{"FHIR message", true, func(ctx context.Context, g *Gate, p pipeline.Payload) error {
		_, err := g.Send(ctx, pipeline.MessageRequest{Destination: schemas.Destination{Slug: "good-health"}, Path: fhirPath, Payload: p})
		return err
	}},
	{"Data Model message", true, func(ctx context.Context, g *Gate, p pipeline.Payload) error {
		_, err := g.Send(ctx, pipeline.MessageRequest{DataModel: true, Destination: schemas.Destination{ID: "dest-1"}, Path: "endpoint", Payload: p})
		return err
	}},
}

func text(s string) pipeline.Payload {
	return pipeline.Payload{ContentType: "application/pdf", Size: int64(len(s)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(s))), nil
	}}
}

func typed(contentType string, p pipeline.Payload) pipeline.Payload {
	p.ContentType = contentType
	return p
}

func TestRoutes(t *testing.T) {
	w := start(t)
	if err := w.gate.Authorize(t.Context()); err != nil {
		t.Fatal(err)
	}
	address, err := w.gate.Upload(t.Context(), pipeline.UploadRequest{SourceID: w.source, FileName: "a b.pdf", Payload: text("FHIR file")})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := w.gate.Send(t.Context(), pipeline.MessageRequest{SourceID: w.source, Destination: schemas.Destination{Slug: "good-health"},
		Path: fhirPath, Payload: typed("application/fhir+json", text(bundle(address)))})
	if err != nil {
		t.Fatal(err)
	}
	first := w.sim.Messages()[0]
	if receipt.Status != 200 || receipt.Location == "" || receipt.Location != first.Receipt.Location || receipt.TraceID != first.Receipt.TraceID {
		t.Errorf("receipt %+v of %+v", receipt, first.Receipt)
	}
	address, err = w.gate.Upload(t.Context(), pipeline.UploadRequest{SourceID: w.source, DataModel: true, FileName: "a b.pdf", Payload: text("Data Model file")})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err = w.gate.Send(t.Context(), pipeline.MessageRequest{SourceID: w.source, DataModel: true, Destination: schemas.Destination{ID: "dest-1"},
		Path: "endpoint", Payload: text(note(w.source, address))})
	if err != nil {
		t.Fatal(err)
	}
	second := w.sim.Messages()[1]
	if receipt.Status != 200 || len(receipt.LogIDs) != 1 || receipt.LogIDs[0] != second.Receipt.LogIDs[0] || receipt.TraceID != second.Receipt.TraceID {
		t.Errorf("receipt %+v of %+v", receipt, second.Receipt)
	}
	var paths []string
	for _, r := range w.sim.Requests() {
		paths = append(paths, r.Path)
	}
	want := []string{"/v2/auth/token", "/fhir/R4/redox/Development/Binary", "/fhir/R4/good-health/Development/" + fhirPath, "/upload", "/endpoint"}
	if !slices.Equal(paths, want) {
		t.Errorf("requests %q", paths)
	}
	files := w.sim.Uploads()
	if files[0].FileName != "" || files[1].FileName != "a b.pdf" || files[1].ContentType != "application/pdf" || files[1].Body.Size != 15 {
		t.Errorf("files %+v", files)
	}
}

// Whatever the simulator does, a fault's words hold nothing of the file, the
// message, their names, or the answer.
func TestNothingLeaks(t *testing.T) {
	const canary = "CANARY"
	faults := map[string]redoxsim.Fault{
		"none":      {Action: redoxsim.NoLocation}, // the bodies themselves are refused
		"refused":   {Action: redoxsim.StatusAfterBody, Status: 422, Body: `{"Meta":{"Errors":[{"ID":"CANARY","Text":"CANARY"}]},"errorDetail":"CANARY"}`},
		"text":      {Action: redoxsim.StatusAfterBody, Status: 400, Body: canary, Header: map[string]string{"Content-Type": "text/CANARY", "Redox-Trace-Id": "CANARY x"}},
		"too large": {Action: redoxsim.AnswerStatus, Status: 413, Body: canary},
		"forbidden": {Action: redoxsim.AnswerStatus, Status: 403, Body: "<html>CANARY"},
		"limited":   {Action: redoxsim.AnswerStatus, Status: 429, Header: map[string]string{"Retry-After": canary}},
		"gateway":   {Action: redoxsim.StatusAfterBody, Status: 504, Body: canary},
		"redirect":  {Action: redoxsim.Redirect, URL: "https://CANARY.example/CANARY"},
		"cut":       {Action: redoxsim.CutAfterBody},
		"signed in": {Action: redoxsim.AnswerStatus, Status: 401, Body: canary},
	}
	w := start(t)
	for name, f := range faults {
		for _, step := range steps {
			t.Run(name+" "+step.name, func(t *testing.T) {
				w.sim.ClearFaults()
				f.Match.Kind = redoxsim.UploadRequest
				if step.message {
					f.Match.Kind = redoxsim.MessageRequest
				}
				if err := w.sim.Inject(f); err != nil {
					t.Fatal(err)
				}
				err := step.run(t.Context(), w.gate, text("CANARY body"))
				if name == "none" && !step.message {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				judged, ok := err.(*fault.Fault)
				if !ok {
					t.Fatalf("got %v", err)
				}
				safe(t, judged)
			})
		}
	}
}

func note(source, contents string) string {
	return fmt.Sprintf(`{"Meta":{"DataModel":"Notes","EventType":"New","EventDateTime":"2026-11-20T10:00:00.000Z","Source":{"ID":%q},"Destinations":[{"ID":"dest-1"}]},
"Patient":{"Identifiers":[{"ID":"1","IDType":"MR"}]},
"Note":{"ContentType":"Base64 Encoded","DocumentType":"t","DocumentID":"d1","Provider":{"ID":"p"},"FileName":"a.pdf","FileContents":%q}}`, source, contents)
}

func bundle(address string) string {
	const header, patient, document = "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", "urn:uuid:1f8fad5b-d9cb-469f-a165-70867728950e", "urn:uuid:2f8fad5b-d9cb-469f-a165-70867728950e"
	return fmt.Sprintf(`{"resourceType":"Bundle","type":"message","entry":[
{"fullUrl":%q,"resource":{"resourceType":"MessageHeader","eventUri":"https://fhir.redoxengine.com/EventDefinition/DocumentReferenceCreate",
 "source":{"endpoint":"urn:uuid:3f8fad5b-d9cb-469f-a165-70867728950e"},"focus":[{"reference":%q}]}},
{"fullUrl":%q,"resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"1"}],"name":[{"family":"A"}],"gender":"female","birthDate":"1980-01-01"}},
{"fullUrl":%q,"resource":{"resourceType":"DocumentReference","status":"current","masterIdentifier":{"value":"doc-1"},"subject":{"reference":%q},
 "content":[{"attachment":{"contentType":"application/pdf","url":%q}}]}}]}`, header, document, patient, document, patient, address)
}

package redoxclient

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
)

// shapes of a 2xx to Send. kind "" is success, code that of a refusal or of a
// body that cannot be read unless it says otherwise.
var shapes = map[string]struct {
	body     string
	kind     Kind
	code     string
	location string
	logs     []string
}{
	"empty":             {body: ""},
	"white space":       {body: " \r\n"},
	"empty object":      {body: "{}"},
	"sandbox bundle":    {body: `{"resourceType":"Bundle","entry":[{"response":{"status":"201 Created","location":"https://fhir.redoxengine.com/fhir-sandbox/DocumentReference/1/_history/1"}}]}`, location: "https://fhir.redoxengine.com/fhir-sandbox/DocumentReference/1/_history/1"},
	"relative location": {body: `{"entry":[{"response":{"location":"DocumentReference/1"}}]}`, location: "DocumentReference/1"},
	"with a BOM":        {body: "\ufeff{}"},
	"data model":        {body: `{"Meta":{"Logs":[{"ID":"d9f5d293-7110-461e-a875-3beb089e79f3","AttemptID":"x"},{"ID":123}],"Errors":[]}}`, logs: []string{"d9f5d293-7110-461e-a875-3beb089e79f3", "123"}},
	"odd log ids":       {body: `{"Meta":{"Logs":[{"ID":"CANARY text"},{"ID":{}},{"ID":true},{},{"ID":"ok"}]}}`, logs: []string{"ok"}},
	"logs of a shape":   {body: `{"Meta":{"Logs":"CANARY"}}`},
	"a log of a shape":  {body: `{"Meta":{"Logs":["CANARY",5,{"ID":"ok"},null]}}`, logs: []string{"ok"}},
	"many logs":         {body: `{"Meta":{"Logs":[` + strings.Repeat(`{"ID":7},`, 99) + `{"ID":8}]}}`, logs: slices.Repeat([]string{"7"}, 16)},
	"fhir meta":         {body: `{"resourceType":"Bundle","meta":{"errors":["x"]}}`},
	"warning":           {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"value"},{"severity":"information"}]}`},
	"header ok":         {body: `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MessageHeader","response":{"code":"ok"}}}]}`},
	"foreign resource":  {body: `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Other","response":"text","issue":7,"entry":"x"}}]}`},
	"null parts":        {body: `{"entry":null,"issue":null,"Meta":null,"errorDetail":null,"response":null}`},
	"query in location": {body: `{"entry":[{"response":{"location":"https://x.org/a?CANARY=1"}}]}`},
	"text in location":  {body: `{"entry":[{"response":{"location":"CANARY was here"}}]}`},
	"user in location":  {body: `{"entry":[{"response":{"location":"https://CANARY@x.org/a"}}]}`},
	"repeated names":    {body: `{"a":1,"a":2}`},

	"outcome error":    {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"CANARY"}]}`, kind: Permanent},
	"outcome fatal":    {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"warning"},{"severity":"FATAL"}]}`, kind: Permanent},
	"outcome in entry": {body: `{"entry":[{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}}]}`, kind: Permanent},
	"entry outcome":    {body: `{"entry":[{"response":{"status":"200","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}}}]}`, kind: Permanent},
	"entry status":     {body: `{"entry":[{"response":{"status":"201"}},{"response":{"status":"422 CANARY"}}]}`, kind: Permanent},
	"entry number":     {body: `{"entry":[{"response":{"status":500}}]}`, kind: Retryable},
	"header transient": {body: `{"entry":[{"resource":{"resourceType":"MessageHeader","response":{"code":"transient-error"}}},{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}}]}`, kind: Retryable},
	"header fatal":     {body: `{"entry":[{"resource":{"resourceType":"MessageHeader","response":{"code":"fatal-error"}}}]}`, kind: Permanent},
	"header alone":     {body: `{"resourceType":"MessageHeader","response":{"code":"transient-error"}}`, kind: Retryable},
	"meta errors":      {body: `{"Meta":{"Logs":[{"ID":"1"}],"Errors":[{"ID":1,"Text":"CANARY"}]}}`, kind: Permanent},
	"meta error text":  {body: `{"Meta":{"Errors":"CANARY"}}`, kind: Permanent},
	"error detail":     {body: `{"errorDetail":"CANARY"}`, kind: Permanent},

	"repeated detail":         {body: `{"errorDetail":"CANARY","errorDetail":""}`, kind: Permanent},
	"repeated Meta":           {body: `{"Meta":{"Errors":[{"ID":1}]},"Meta":{"Logs":[]}}`, kind: Permanent},
	"repeated Errors":         {body: `{"Meta":{"Errors":[{"ID":1}],"Errors":[]}}`, kind: Permanent},
	"repeated issue":          {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error"}],"issue":[]}`, kind: Permanent},
	"repeated severity":       {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","severity":"information"}]}`, kind: Permanent},
	"repeated type":           {body: `{"resourceType":"OperationOutcome","resourceType":"Bundle","issue":[{"severity":"error"}]}`, kind: Permanent},
	"repeated entry":          {body: `{"entry":[{"response":{"status":"422"}}],"entry":[{"response":{"status":"201"}}]}`, kind: Permanent},
	"repeated resource":       {body: `{"entry":[{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]},"resource":{"resourceType":"Patient"}}]}`, kind: Permanent},
	"repeated response":       {body: `{"entry":[{"response":{"status":"422"},"response":{"status":"201"}}]}`, kind: Permanent},
	"repeated status":         {body: `{"entry":[{"response":{"status":"422","status":"201"}}]}`, kind: Permanent},
	"repeated outcome":        {body: `{"entry":[{"response":{"outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]},"outcome":null}}]}`, kind: Permanent},
	"repeated header":         {body: `{"resourceType":"MessageHeader","response":{"code":"fatal-error"},"response":{"code":"ok"}}`, kind: Permanent},
	"repeated header code":    {body: `{"resourceType":"MessageHeader","response":{"code":"fatal-error","code":"ok"}}`, kind: Permanent},
	"repeated, all well":      {body: `{"Meta":{"Logs":[{"ID":"1"}]},"Meta":{"Logs":[{"ID":"2"}],"Errors":[]},"entry":[],"entry":[{"response":{"status":"201"}}]}`, logs: []string{"1", "2"}},
	"repeated and unreadable": {body: `{"entry":"CANARY","entry":[]}`, kind: UnknownOutcome},

	"entry 408":                 {body: `{"entry":[{"response":{"status":"408 CANARY"}}]}`, kind: Retryable},
	"entry 429":                 {body: `{"entry":[{"response":{"status":"429 CANARY"}}]}`, kind: Retryable},
	"entry 502":                 {body: `{"entry":[{"response":{"status":"502"}}]}`, kind: Retryable},
	"entry 503":                 {body: `{"entry":[{"response":{"status":"503 Service Unavailable"}}]}`, kind: Retryable},
	"entry 504":                 {body: `{"entry":[{"response":{"status":"504"}}]}`, kind: UnknownOutcome, code: CodeRefused},
	"entry of an unlisted 5xx":  {body: `{"entry":[{"response":{"status":"520"}}]}`, kind: UnknownOutcome, code: CodeRefused},
	"entry of no status":        {body: `{"entry":[{"response":{"status":"999"}}]}`, kind: Permanent},
	"entry 401":                 {body: `{"entry":[{"response":{"status":"401"}}]}`, kind: Permanent},
	"entries 503 and 504":       {body: `{"entry":[{"response":{"status":"503"}},{"response":{"status":"504"}}]}`, kind: UnknownOutcome, code: CodeRefused},
	"entries 503 and 422":       {body: `{"entry":[{"response":{"status":"503"}},{"response":{"status":"422"}}]}`, kind: Permanent},
	"entries 503 and 201":       {body: `{"entry":[{"response":{"status":"503"}},{"response":{"status":"201"}}]}`, kind: Permanent},
	"entry 503 and its reason":  {body: `{"entry":[{"response":{"status":"503","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}}}]}`, kind: Retryable},
	"entry 503 and an error":    {body: `{"entry":[{"response":{"status":"503","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}}}]}`, kind: Permanent},
	"entry 503 and what":        {body: `{"entry":[{"response":{"status":"503"}}],"Meta":"CANARY"}`, kind: Permanent},
	"entry 503 and Meta.Errors": {body: `{"entry":[{"response":{"status":"503"}}],"Meta":{"Errors":[{"ID":1}]}}`, kind: Permanent},
	"outcome throttled":         {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"},{"severity":"warning","code":"invalid"}]}`, kind: Retryable},
	"outcome of all that pass":  {body: `{"issue":[{"severity":"fatal","code":"transient"},{"severity":"error","code":"lock-error"},{"severity":"error","code":"no-store"},{"severity":"error","code":"exception"},{"severity":"error","code":"incomplete"}]}`, kind: Retryable},
	"outcome timeout":           {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient"},{"severity":"error","code":"timeout"}]}`, kind: UnknownOutcome, code: CodeRefused},
	"outcome mixed":             {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"},{"severity":"error","code":"processing"}]}`, kind: Permanent},
	"outcome of two codes":      {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","code":"throttled"}]}`, kind: Permanent},
	"outcome of an odd code":    {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":{"CANARY":1}}]}`, kind: Permanent},

	"text":              {body: "CANARY", kind: UnknownOutcome},
	"html":              {body: "<html>CANARY", kind: UnknownOutcome},
	"cut json":          {body: `{"entry":[{"response":{"location":"CANARY`, kind: UnknownOutcome},
	"two values":        {body: `{}{}`, kind: UnknownOutcome},
	"array":             {body: `[]`, kind: UnknownOutcome},
	"null":              {body: `null`, kind: UnknownOutcome},
	"string":            {body: `"CANARY"`, kind: UnknownOutcome},
	"issue of a shape":  {body: `{"resourceType":"OperationOutcome","issue":{"severity":"error"}}`, kind: UnknownOutcome},
	"entry of a shape":  {body: `{"entry":"CANARY"}`, kind: UnknownOutcome},
	"severity a number": {body: `{"issue":[{"severity":5}]}`, kind: UnknownOutcome},
	"deep":              {body: `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, kind: UnknownOutcome},
}

func TestShapesOfSuccess(t *testing.T) {
	var body atomic.Value
	var status atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Redox-Trace-Id", "trace-1")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, body.Load().(string))
	})
	c := newClient(t, url)
	for name, tc := range shapes {
		for _, code := range []int64{200, 201, 202} {
			t.Run(name, func(t *testing.T) {
				body.Store(tc.body)
				status.Store(code)
				err := callOp(t.Context(), c, OpSendDataModel, canaryBody())
				if e, ok := errors.AsType[*Error](err); ok != (tc.kind != "") || ok && e.Kind != tc.kind {
					t.Errorf("the Data Model's: %v", err)
				}
				receipt, err := send(t.Context(), c, canaryBody())
				if tc.kind == UnknownOutcome {
					wantError(t, err, UnknownOutcome, cmp.Or(tc.code, CodeAnswerUnreadable))
					return
				}
				if tc.kind != "" {
					wantError(t, err, tc.kind, CodeRefused)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if receipt.Status != int(code) || receipt.Location != tc.location || !slices.Equal(receipt.LogIDs, tc.logs) || receipt.TraceID != "trace-1" {
					t.Errorf("got %+v", receipt)
				}
			})
		}
	}
}

func TestUploadLocation(t *testing.T) {
	cases := map[string]struct {
		header, body string
		want, code   string
		kind         Kind
	}{
		"header":           {header: blobURL, body: "CANARY", want: blobURL},
		"header wins":      {header: blobURL, body: `{"location":"https://evil.example/CANARY"}`, want: blobURL},
		"body":             {body: `{"location":"` + blobURL + `"}`, want: blobURL},
		"port 443":         {header: "https://BLOB.redoxengine.com:443/a", want: "https://BLOB.redoxengine.com:443/a"},
		"none":             {code: CodeNoLocation, kind: Permanent},
		"html":             {body: "<html>CANARY", code: CodeNoLocation, kind: Permanent},
		"body of a shape":  {body: `{"location":5}`, code: CodeNoLocation, kind: Permanent},
		"refused":          {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}`, code: CodeRefused, kind: Permanent},
		"refused for now":  {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"}]}`, code: CodeRefused, kind: Retryable},
		"timeout inside":   {body: `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"timeout"}]}`, code: CodeRefused, kind: Retryable},
		"http":             {header: "http://blob.redoxengine.com/CANARY", code: CodeBlobURL, kind: Permanent},
		"foreign":          {header: "https://CANARY.example/abc", code: CodeBlobURL, kind: Permanent},
		"suffix":           {header: "https://blob.redoxengine.com.evil.example/a", code: CodeBlobURL, kind: Permanent},
		"prefix":           {header: "https://evilblob.redoxengine.com/a", code: CodeBlobURL, kind: Permanent},
		"user":             {header: "https://blob.redoxengine.com@evil.example/a", code: CodeBlobURL, kind: Permanent},
		"user of ours":     {header: "https://CANARY@blob.redoxengine.com/a", code: CodeBlobURL, kind: Permanent},
		"backslash":        {header: `https://evil.example\@blob.redoxengine.com/a`, code: CodeBlobURL, kind: Permanent},
		"port":             {header: "https://blob.redoxengine.com:8443/a", code: CodeBlobURL, kind: Permanent},
		"relative":         {header: "/a", code: CodeBlobURL, kind: Permanent},
		"no path":          {header: "https://blob.redoxengine.com/", code: CodeBlobURL, kind: Permanent},
		"fragment":         {header: blobURL + "#CANARY", code: CodeBlobURL, kind: Permanent},
		"spaces":           {header: blobURL + " CANARY", code: CodeBlobURL, kind: Permanent},
		"long":             {header: blobURL + strings.Repeat("a", maxURL), code: CodeBlobURL, kind: Permanent},
		"foreign in body":  {body: `{"location":"https://CANARY.example/a"}`, code: CodeBlobURL, kind: Permanent},
		"script":           {header: "javascript:CANARY", code: CodeBlobURL, kind: Permanent},
		"quote in body":    {body: `{"location":"https://blob.redoxengine.com/\"CANARY"}`, code: CodeBlobURL, kind: Permanent},
		"newline in body":  {body: `{"location":"https://blob.redoxengine.com/a\nCANARY"}`, code: CodeBlobURL, kind: Permanent},
		"allowed sim host": {header: "https://sim.test:7443/a", want: "https://sim.test:7443/a"},
	}
	var header, body atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if h := header.Load().(string); h != "" {
			w.Header().Set("Location", h)
		}
		w.WriteHeader(201)
		_, _ = io.WriteString(w, body.Load().(string))
	})
	c := newClient(t, url, func(cfg *Config) { cfg.BlobHosts = []string{"Blob.RedoxEngine.com", "sim.test:7443"} })
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			header.Store(tc.header)
			body.Store(tc.body)
			up, err := upload(t.Context(), c, canaryBody())
			if tc.kind != "" {
				wantError(t, err, tc.kind, tc.code)
				return
			}
			if err != nil || up.URL != tc.want {
				t.Fatalf("got %+v, %v", up, err)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	if len(shapes) == 0 {
		f.Fatal("no shapes")
	}
	for _, s := range shapes {
		f.Add([]byte(s.body))
	}
	f.Add([]byte(`{"URI":"` + blobURL + `","uri":7}`))
	f.Add([]byte(`{"Meta":{"Errors":[{"ID":12},{"ID":"0f8fad5b-d9cb-469f-a165-70867728950e"},{"ID":"Doe, Jane"}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := parseAnswer(body)
		for _, code := range v.codes {
			if !slices.Contains(issueTypes, code) {
				t.Errorf("code %q", code)
			}
		}
		for _, id := range v.logIDs {
			if id == "" || safeID(id) != id {
				t.Errorf("log id %q", id)
			}
		}
		for _, id := range v.errorIDs {
			if !digits(id) && uuid.Validate(id) != nil {
				t.Errorf("error id %q", id)
			}
		}
		if len(v.codes) > maxCodes || len(v.logIDs) > maxLogIDs || len(v.errorIDs) > maxErrorIDs {
			t.Error("too many")
		}
		for _, raw := range []string{bodyLocation(body), bodyURI(body)} {
			if u, err := checkBlobURL(raw, []string{DefaultBlobHost}); err == nil && !strings.HasPrefix(strings.ToLower(u), "https://blob.redoxengine.com") {
				t.Errorf("blob URL %q", u)
			}
		}
		if l := safeLocation(v.location); len(l) > maxLocation || strings.ContainsAny(l, " ?#@\"\n") {
			t.Errorf("location %q", l)
		}
	})
}

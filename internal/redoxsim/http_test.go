package redoxsim

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// counter says how much of a request body the client was asked for.
type counter struct {
	r    io.Reader
	read atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func TestRefusedRequests(t *testing.T) {
	good := []byte(document1(embeddedPDF))
	cases := map[string]struct {
		path, contentType string
		body              []byte
		header            []string
		status            int
	}{
		"unknown path":           {"/fhir/R4/x", fhirType, good, nil, 404},
		"root":                   {"/", fhirType, good, nil, 404},
		"flag in lower case":     {strings.Replace(docPath, "Development", "development", 1), fhirType, good, nil, 404},
		"flag not served":        {strings.Replace(docPath, "Development", "Staging", 1), fhirType, good, nil, 404},
		"destination unknown":    {strings.Replace(docPath, "good-health", "bad-health", 1), fhirType, good, nil, 404},
		"operation no dollar":    {strings.Replace(docPath, "$", "", 1), fhirType, good, nil, 404},
		"operation unknown":      {strings.Replace(docPath, "-create", "-delete", 1), fhirType, good, nil, 404},
		"operation of another":   {strings.Replace(docPath, "DocumentReference/", "Observation/", 1), fhirType, good, nil, 404},
		"JSON":                   {docPath, "application/json", good, nil, 415},
		"no content type":        {docPath, "", good, nil, 415},
		"other charset":          {docPath, fhirType + "; charset=latin1", good, nil, 415},
		"encoded":                {docPath, fhirType, good, []string{"Content-Encoding", "gzip"}, 415},
		"empty message":          {docPath, fhirType, nil, nil, 400},
		"too large message":      {docPath, fhirType, bytes.Repeat([]byte(" "), 20_001), nil, 413},
		"Data Model as FHIR":     {"/endpoint", fhirType, good, nil, 415},
		"Binary at another slug": {strings.Replace(binaryPath, "redox", "good-health", 1), "x/y", []byte("x"), nil, 404},
		"Binary with a flag":     {strings.Replace(binaryPath, "Development", "development", 1), "x/y", []byte("x"), nil, 404},
		"Binary with an id":      {binaryPath + "/1", "x/y", []byte("x"), nil, 404},
		"empty Binary":           {binaryPath, "x/y", nil, nil, 400},
		"too large Binary":       {binaryPath, "x/y", bytes.Repeat([]byte("x"), 10_001), nil, 413},
		"multipart Binary":       {binaryPath, "multipart/form-data; boundary=x", []byte("x"), nil, 415},
		"Binary of type PDF":     {binaryPath, "PDF", []byte("x"), nil, 400},
		"source not a UUID":      {binaryPath, "x/y", []byte("x"), []string{"Redox-source-Id", "x"}, 400},
		"source not the only":    {binaryPath, "x/y", []byte("x"), []string{"Redox-source-Id", uuid.NewString()}, 403},
	}
	b := newBench(t, func(c *Config) {
		c.Environments, c.Destinations = []string{"Development"}, []string{"good-health"}
		c.FileLimit, c.RequestLimit, c.Dir = 10_000, 20_000, t.TempDir()
	})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			if got := b.post(c.path, c.contentType, c.body, c.header...); got.status != c.status {
				t.Errorf("%d, want %d: %s", got.status, c.status, got.body)
			}
		})
	}
	for name, status := range map[string]int{docPath: 413, binaryPath: 411} { // no Content-Length
		r := b.authorized(name, fhirType, nil)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte(" "), 20_001))), -1
		if got := b.do(r); got.status != status {
			t.Errorf("%s chunked: %d %v", name, got.status, got.err)
		}
	}
	for _, body := range []string{"{", document1("{}")} { // refused after it was stored
		if got := b.post(docPath, fhirType, []byte(body)); got.status != 400 {
			t.Errorf("bad message: %d", got.status)
		}
	}
	if got := b.post("/endpoint", "application/json", []byte("{}")); got.status != 403 {
		t.Errorf("bad Data Model message: %d", got.status)
	}
	if got := b.do(b.request("GET", docPath, nil)); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", got.status)
	}
	if len(b.sim.Messages())+len(b.sim.Uploads()) != 0 {
		t.Error("something refused was kept")
	}
	if left, err := os.ReadDir(b.sim.spool.dir); err != nil || len(left) != 0 {
		t.Errorf("%d files left of what was refused, %v", len(left), err)
	}
}

// TestLimitsExactly: a body of exactly the limit is taken.
func TestLimitsExactly(t *testing.T) {
	message := document1(embeddedPDF)
	b := newBench(t, func(c *Config) { c.FileLimit, c.RequestLimit = 1000, int64(len(message)) })
	if got := b.post(binaryPath, "", bytes.Repeat([]byte("x"), 1000)); got.status != 201 {
		t.Errorf("file: %d", got.status)
	}
	if got := b.post(docPath, fhirType, []byte(message)); got.status != 200 {
		t.Errorf("message: %d", got.status)
	}
}

// TestEarlyAnswers: with Expect: 100-continue, what is decided by the header
// alone costs no byte of the body.
func TestEarlyAnswers(t *testing.T) {
	cases := map[string]struct {
		fault  *Fault
		change func(*http.Request)
		status int
	}{
		"token":     {nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401},
		"too large": {nil, nil, 413},
		"injected":  {&Fault{Action: AnswerStatus, Status: 502, Match: Match{Kind: UploadRequest}}, nil, 502},
		"redirect":  {&Fault{Action: Redirect, URL: "https://elsewhere.invalid/", Match: Match{Kind: UploadRequest}}, nil, 307},
		"rate":      {nil, nil, 429},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) {
				cfg.FileLimit = 1000
				if name == "rate" {
					cfg.Rate.Requests = 1
				}
			})
			body := &counter{r: bytes.NewReader(make([]byte, 100_000))}
			r := b.authorized(binaryPath, "x/y", nil, "Expect", "100-continue")
			r.Body, r.ContentLength = io.NopCloser(body), 100_000
			if c.change != nil {
				c.change(r)
			}
			if c.fault != nil {
				if err := b.sim.Inject(*c.fault); err != nil {
					t.Fatal(err)
				}
			}
			asked := false
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked = true }}))
			if got := b.do(r); got.status != c.status || asked || body.read.Load() != 0 {
				t.Errorf("status %d, body asked for: %v, %d bytes sent, %v", got.status, asked, body.read.Load(), got.err)
			}
		})
	}
	t.Run("taken", func(t *testing.T) {
		b := newBench(t)
		if got := b.post(binaryPath, "x/y", make([]byte, 1000), "Expect", "100-continue"); got.status != 201 {
			t.Errorf("%d %v", got.status, got.err)
		}
	})
}

func TestRateLimit(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Unix(1_800_000_000+offset.Load(), 0) }
	b := newBench(t, func(c *Config) { c.Rate, c.Now = RateLimit{Requests: 3, Window: time.Minute}, now })
	ask := func() reply { return b.do(b.request("POST", binaryPath, strings.NewReader("x"))) }
	expect := func(statuses ...int) {
		t.Helper()
		for i, want := range statuses {
			if got := ask(); got.status != want || got.header.Get("X-RateLimit-Limit") != "3" {
				t.Errorf("request %d: %d, want %d", i, got.status, want)
			}
		}
	}
	expect(401, 401)
	offset.Store(30)
	expect(401, 429, 429)
	if got := b.sim.WindowUsed(); got != 3 {
		t.Errorf("window used: %d", got)
	}
	if got := b.do(b.request("GET", "/_sim/requests", nil)); got.status != 200 || got.header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("inspection is counted: %d", got.status)
	}
	offset.Store(60)
	expect(401, 401, 429)
}

// TestInspection goes through everything under /_sim/.
func TestInspection(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Dir = t.TempDir() })
	url := b.upload([]byte("hello"))
	message := document1(`{"contentType":"application/pdf","url":"` + url + `"}`)
	if got := b.post(docPath, fhirType, []byte(message)); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	get := func(path string) reply { return b.do(b.request("GET", "/_sim/"+path, nil)) }
	for path, want := range map[string]string{
		"messages/1": message, "messages/1/files/0": "hello", "uploads/1": "hello",
	} {
		if got := get(path); got.status != 200 || string(got.body) != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := get("messages/1/files/0").header.Get("Content-Type"); got != "application/pdf" {
		t.Errorf("content type %q", got)
	}
	for _, path := range []string{"messages/0", "messages/2", "messages/x", "messages/1/files/1", "uploads/2", "x"} {
		if got := get(path); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	var messages []Message
	if err := json.Unmarshal(get("messages").body, &messages); err != nil || len(messages) != 1 || messages[0].Files[0].URL != url || messages[0].Body.Path == "" {
		t.Errorf("messages %+v, %v", messages, err)
	}
	var uploads []Upload
	if err := json.Unmarshal(get("uploads").body, &uploads); err != nil || len(uploads) != 1 || uploads[0].Body.Size != 5 || uploads[0].Named[0] != 1 {
		t.Errorf("uploads %+v, %v", uploads, err)
	}
	var requests []Request
	if err := json.Unmarshal(get("requests").body, &requests); err != nil || len(requests) != 4 || requests[3].Path != docPath || requests[3].Status != 200 || requests[3].BodyRead != int64(len(message)) {
		t.Errorf("requests %+v, %v", requests, err)
	}
	if got := b.do(b.request("POST", "/_sim/tokens/revoke", nil)); got.status != 204 || len(b.sim.tokens) != 0 {
		t.Errorf("revoke: %d", got.status)
	}
	if got := b.do(b.request("POST", "/_sim/faults", strings.NewReader(`{"match":{"kind":"token"},"times":1,"action":"status","status":500,"delay":"1.5s"}`))); got.status != 201 {
		t.Fatalf("fault: %d %s", got.status, got.body)
	}
	if f := b.sim.Faults(); len(f) != 1 || f[0].Fault.Delay != 1500*time.Millisecond {
		t.Errorf("faults %+v", f)
	}
	if got := b.askToken(nil); got.status != 500 {
		t.Errorf("faulty token: %d", got.status)
	}
	var faults []FaultState
	if err := json.Unmarshal(get("faults").body, &faults); err != nil || len(faults) != 1 || faults[0].Fired != 1 {
		t.Errorf("faults %+v, %v", faults, err)
	}
	for _, bad := range []string{`{"action":"explode"}`, `{"action":"status","x":1}`, `{`, `{"action":"status","status":99}`, `{"action":"delay-body"}`, `{"action":"slow-read"}`, `{"action":"redirect"}`, `{"action":"hang","probability":2}`, `{"action":"hang","skip":-1}`, `{"action":"hang","match":{"kind":"x"}}`} {
		if got := b.do(b.request("POST", "/_sim/faults", strings.NewReader(bad))); got.status != 400 {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
	if got := b.do(b.request("DELETE", "/_sim/faults", nil)); got.status != 204 || len(b.sim.Faults()) != 0 {
		t.Errorf("clear: %d", got.status)
	}
}

// TestManyAtOnce: concurrent senders, each message kept once and whole.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	token := b.token()
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			data := strings.Repeat("QUJD", 5000+i)
			got := b.do(b.request("POST", docPath, strings.NewReader(document1(`{"contentType":"x/y","data":"`+data+`"}`)), "Content-Type", fhirType, "Authorization", "Bearer "+token))
			if got.status != 200 {
				t.Errorf("%d %s %v", got.status, got.body, got.err)
			}
		})
	}
	messages, err := b.sim.AwaitMessages(t.Context(), 40)
	group.Wait()
	if err != nil || len(messages) != 40 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	sizes := map[int64]bool{}
	for i, m := range messages {
		if m.Seq != i+1 {
			t.Errorf("message %d has number %d", i, m.Seq)
		}
		sizes[m.Files[0].Size] = true
	}
	if len(sizes) != 40 {
		t.Errorf("%d different files", len(sizes))
	}
}

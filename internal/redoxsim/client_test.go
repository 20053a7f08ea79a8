package redoxsim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// bench is a simulator behind a real listener, with one client of one source.
type bench struct {
	t    *testing.T
	sim  *Server
	url  string
	cred *Credentials
	http *http.Client
}

var keys sync.Map // alg → *Credentials: RSA keys are slow to make

func credentials(t *testing.T, alg string, sources ...string) *Credentials {
	t.Helper()
	if len(sources) == 0 {
		if c, ok := keys.Load(alg); ok {
			return c.(*Credentials)
		}
	}
	c, err := GenerateClient(alg, sources...)
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		keys.Store(alg, c)
	}
	return c
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, cred: credentials(t, ES384)}
	cfg := Config{Clients: []Client{b.cred.Client}}
	for _, f := range change {
		f(&cfg)
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(sim)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	b.sim, b.url = sim, server.URL
	b.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return b
}

// claims of a good assertion, to be spoilt by tests.
func (b *bench) claims() map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": b.cred.ClientID, "sub": b.cred.ClientID, "aud": b.url + tokenPath,
		"iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(), "jti": uuid.NewString(),
	}
}

func sign(t *testing.T, key any, alg, kid, typ string, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return assertion
}

func (b *bench) assertion(claims map[string]any) string {
	return sign(b.t, b.cred.Private, b.cred.Alg, b.cred.KeyID, "JWT", claims)
}

func form(assertion string) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion},
	}
}

// reply is a response read to its end, or the error in its place.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (b *bench) do(r *http.Request) reply {
	resp, err := b.http.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body, err}
}

func (b *bench) request(method, path string, body io.Reader, header ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func (b *bench) askToken(values url.Values) reply {
	return b.do(b.request("POST", tokenPath, strings.NewReader(values.Encode()), "Content-Type", "application/x-www-form-urlencoded"))
}

func (b *bench) token() string {
	b.t.Helper()
	got := b.askToken(form(b.assertion(b.claims())))
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(got.body, &answer); got.status != 200 || err != nil || answer.AccessToken == "" {
		b.t.Fatalf("token: status %d, %v, %s", got.status, got.err, got.body)
	}
	return answer.AccessToken
}

// post sends with a fresh token.
func (b *bench) post(path, contentType string, body []byte, header ...string) reply {
	b.t.Helper()
	return b.do(b.authorized(path, contentType, body, header...))
}

func (b *bench) authorized(path, contentType string, body []byte, header ...string) *http.Request {
	b.t.Helper()
	r := b.request("POST", path, bytes.NewReader(body), "Authorization", "Bearer "+b.token())
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

const (
	docPath    = "/fhir/R4/good-health/Development/DocumentReference/$documentreference-create"
	binaryPath = "/fhir/R4/redox/Development/Binary"
	fhirType   = "application/fhir+json"
)

// upload sends bytes to Binary and returns their URL.
func (b *bench) upload(data []byte, header ...string) string {
	b.t.Helper()
	got := b.post(binaryPath, "application/pdf", data, header...)
	if got.status != 201 || got.header.Get("Location") == "" {
		b.t.Fatalf("upload: status %d, %v, %s", got.status, got.err, got.body)
	}
	return got.header.Get("Location")
}

const (
	patientJSON = `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:oid:1.2.3","value":"MRN1"}],"name":[{"family":"Doe","given":["Jane"]}],"gender":"female","birthDate":"1970-02-03"}`
	headerURL   = "urn:uuid:00000000-0000-4000-8000-000000000001"
	patientURL  = "urn:uuid:00000000-0000-4000-8000-000000000002"
	mainURL     = "urn:uuid:00000000-0000-4000-8000-000000000003"
)

// bundle is a good message around a main resource.
func bundle(event, resource string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","id":"bundle-1","type":"message","timestamp":"2026-11-20T10:00:00Z","entry":[
{"fullUrl":%q,"resource":{"resourceType":"MessageHeader","eventUri":%q,"source":{"name":"t","endpoint":"urn:uuid:00000000-0000-4000-8000-000000000009"},"focus":[{"reference":%q}]}},
{"fullUrl":%q,"resource":%s},
{"fullUrl":%q,"resource":%s}]}`, headerURL, eventBase+event, mainURL, patientURL, patientJSON, mainURL, resource)
}

func document1(attachment string) string {
	return bundle("DocumentReferenceCreate", `{"resourceType":"DocumentReference","masterIdentifier":{"system":"urn:x","value":"doc-1"},"status":"current",
"subject":{"reference":"`+patientURL+`"},"date":"2026-11-20T10:00:00Z","content":[{"attachment":`+attachment+`}]}`)
}

const embeddedPDF = `{"contentType":"application/pdf","title":"a.pdf","data":"JVBERi0xLjQK"}`

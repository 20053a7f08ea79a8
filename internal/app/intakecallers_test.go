package app

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/stdlog"
	"github.com/chartpost/chartpost/schemas"
)

// provider is an OpenID Connect provider as far as an intake needs one.
type provider struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	answer := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(body) })
	}
	answer("/.well-known/openid-configuration", map[string]string{"issuer": p.url, "jwks_uri": p.url + "/keys"})
	answer("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: string(jose.ES256), Use: "sig"}}})
	return p
}

// token is that of a caller of some destinations, as a header.
func (p *provider) token(subject string, destinations ...string) []string {
	p.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": p.url, "aud": "chartpost", "sub": subject, "exp": time.Now().Add(time.Hour).Unix(),
		"chartpost_destinations": destinations, "chartpost_classes": "live",
	}).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + token}
}

func (s *IntakeSettings) askWho(p *provider) {
	s.Callers.Issuer, s.Callers.Audience = p.url, "chartpost"
}

// TestIntakeKeepsCallersApart: a caller of one destination neither sees, repeats nor
// disturbs the jobs of another, and does not learn whether there are any.
func TestIntakeKeepsCallersApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	p := newProvider(t)
	d := w.intake(func(s *IntakeSettings) { s.askWho(p) })
	a, b := p.token("caller-a", "clinic-a"), p.token("caller-b", "clinic-b")
	upload := func(who []string) (file schemas.File) {
		t.Helper()
		code, body := d.ask("POST", "/v1/files?name=a.pdf", document(1000, who[1]), who...)
		if err := json.Unmarshal([]byte(body), &file); code != 201 || err != nil {
			t.Fatalf("%d %s", code, body)
		}
		return file
	}
	fileA, fileB := upload(a), upload(b)
	jobA := w.job("same-id", []schemas.File{fileA}, to("clinic-a"))
	if code, body := d.put(jobA, append(a, "Prefer", "wait=60")...); code != 200 || !strings.Contains(body, `"state":"accepted"`) {
		t.Fatalf("%d %s", code, body)
	}
	for name, job := range map[string]schemas.Job{
		"repeat":    jobA,
		"conflict":  w.job("same-id", []schemas.File{fileB}, to("clinic-a")),
		"not there": w.job("no-such-id", []schemas.File{fileB}, to("clinic-a")),
	} {
		code, body := d.put(job, b...)
		if code != 403 || !strings.Contains(body, "destination_forbidden") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if code, body := d.put(w.job("stolen", []schemas.File{fileA}, to("clinic-b")), b...); code != 422 || !strings.Contains(body, `"code":"file_not_allowed"`) {
		t.Errorf("another's file: %d %s", code, body)
	}
	if code, body := d.put(w.job("elsewhere", []schemas.File{w.put("x.pdf", document(1000, "x"))}, to("clinic-b")), b...); code != 422 || !strings.Contains(body, `"code":"file_not_allowed"`) {
		t.Errorf("a file of no caller's: %d %s", code, body)
	}
	if code, body := d.put(w.job("same-id", []schemas.File{fileB}, to("clinic-b")), b...); code != 202 {
		t.Errorf("the same id at one's own: %d %s", code, body)
	}
	// What there is and what there is not look the same.
	_, unknown := d.ask("GET", "/v1/jobs/nothing?destination=clinic-a", nil, b...)
	for _, path := range []string{"/v1/jobs/same-id?destination=clinic-a", "/v1/jobs/nothing", "/v1/jobs/same-id?destination=clinic-c"} {
		if code, body := d.ask("GET", path, nil, b...); code != 404 || body != unknown {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := d.ask("GET", "/v1/jobs/same-id", nil, b...); code != 200 || !strings.Contains(body, `"destination":"clinic-b"`) {
		t.Errorf("%d %s", code, body)
	}
	for _, path := range []string{"/v1/events?destination=clinic-a", "/v1/events?class=backfill"} {
		if code, body := d.ask("GET", path, nil, b...); code != 422 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for name, header := range map[string][]string{
		"nothing": nil, "nonsense": {"Authorization", "Bearer x"}, "basic": {"Authorization", "Basic YTpi"}, "no destination": p.token("c"),
	} {
		code, body := d.ask("GET", "/v1/jobs/same-id", nil, header...)
		if want := map[bool]int{true: 403, false: 401}[name == "no destination"]; code != want {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if strings.Contains(d.log.String(), a[1][7:]) || strings.Contains(d.log.String(), canary) {
		t.Error("a token is in the log")
	}
	if n := strings.Count(d.log.String(), `"msg":"refused"`); n < 10 {
		t.Errorf("%d refusals in the log", n)
	}
}

// TestIntakeEvents: a stream goes on where it was left, and shows the caller's own alone.
func TestIntakeEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	p := newProvider(t)
	d := w.intake(func(s *IntakeSettings) { s.askWho(p); s.Limits.Streams = 2 })
	a := p.token("caller-a", "clinic-a", "clinic-c")
	deliver := func(id, slug string, labels map[string]string) {
		w.publish(w.job(id, []schemas.File{w.put(id+".pdf", document(1000, id))}, to(slug), func(j *schemas.Job) { j.Correlation = labels }))
		w.final(id)
	}
	open := func(query string, header ...string) (*bufio.Reader, func() error) {
		t.Helper()
		var resp *http.Response
		devtest.Until(t, "a closed stream gives its place back", patienceOfTests, func() bool {
			resp = d.do("GET", "/v1/events"+query, nil, append(a, header...)...)
			if resp.StatusCode == 429 {
				resp.Body.Close()
			}
			return resp.StatusCode != 429
		})
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d", resp.StatusCode)
		}
		r := bufio.NewReader(resp.Body)
		for { // the first block says that it stands
			if line, err := r.ReadString('\n'); err != nil || line == "\n" {
				return r, resp.Body.Close
			}
		}
	}
	next := func(r *bufio.Reader) (id, data string) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch {
			case name == "id":
				id = value
			case name == "data":
				data = value
			case line == "\n" && data != "":
				return id, data
			}
		}
	}
	first, done := open("?status=accepted")
	deliver("b-1", "clinic-b", nil)
	deliver("a-1", "clinic-a", map[string]string{"order": "7"})
	id, data := next(first)
	if !strings.Contains(data, `"job_id":"a-1"`) || !strings.Contains(data, `"status":"accepted"`) || id == "" {
		t.Errorf("%s %s", id, data)
	}
	done()
	deliver("a-2", "clinic-a", map[string]string{"order": "8"})
	deliver("c-1", "clinic-c", map[string]string{"order": "7"})
	second, done := open("?status=accepted", "Last-Event-ID", id)
	if _, data := next(second); !strings.Contains(data, `"job_id":"a-2"`) {
		t.Errorf("it does not go on: %s", data)
	}
	defer done()
	third, done := open("?status=accepted&correlation=order:7&destination=clinic-c", "Last-Event-ID", id)
	if _, data := next(third); !strings.Contains(data, `"job_id":"c-1"`) {
		t.Errorf("the filter: %s", data)
	}
	if code, body := d.ask("GET", "/v1/events", nil, a...); code != 429 || !strings.Contains(body, "too_many_streams") {
		t.Errorf("a third stream: %d %s", code, body)
	}
	done()
	devtest.Until(t, "HEAD is not taken", patienceOfTests, func() bool {
		code, _ := d.ask("HEAD", "/v1/events", nil, a...)
		return code == 405
	})
	fourth, done := open("", "Last-Event-ID", "999999")
	defer done()
	deliver("a-3", "clinic-a", nil)
	if _, data := next(fourth); !strings.Contains(data, `"job_id":"a-3"`) {
		t.Errorf("behind the end: %s", data)
	}
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// files writes a certificate and its key as PEM.
func (a *authority) files(cert *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
	a.t.Helper()
	dir := a.t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func (a *authority) client(name string) tls.Certificate {
	cert, key := a.sign(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// TestIntakeFollowsWhatIsNamedTwice: a claim or a query may name a destination two times.
func TestIntakeFollowsWhatIsNamedTwice(t *testing.T) {
	t.Parallel()
	d := newWorld(t, "").intake()
	resp := d.do("GET", "/v1/events?destination=a&destination=a&status=failed&status=failed&class=live&class=live", nil)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the events of a destination that is named twice: %d", resp.StatusCode)
	}
}

// TestIntakeWithCertificates: over TLS, HTTP/1.1 and 2, callers are who their certificates
// say.
func TestIntakeWithCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	ca, strangers := newAuthority(t), newAuthority(t)
	cert, key := ca.files(ca.sign(&x509.Certificate{IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}))
	caFile, _ := ca.files(ca.cert, ca.key)
	list := filepath.Join(t.TempDir(), "callers.yaml")
	if err := os.WriteFile(list, []byte("callers:\n  - {name: lab, certificate: lab.example.org, destinations: [good-health], files: [\""+testBucket+"/"+t.Name()+"/\"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := w.intake(func(s *IntakeSettings) {
		s.Doors.TLSCert, s.Doors.TLSKey, s.Doors.ClientCA, s.Callers.File = cert, key, caFile, list
	})
	d.url = strings.Replace(d.url, "http:", "https:", 1)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	as := func(http2 bool, certs ...tls.Certificate) *http.Client {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetHTTP2(http2)
		return &http.Client{Timeout: patienceOfTests, Transport: &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}}}
	}
	file := w.put("a.pdf", document(1000, "a"))
	for i, http2 := range []bool{false, true} {
		d.client = as(http2, ca.client("lab.example.org"))
		job := w.job([]string{"one", "two"}[i], []schemas.File{file})
		resp := d.do("PUT", "/v1/jobs/"+job.ID, encoded(t, job))
		resp.Body.Close()
		if resp.StatusCode != 202 || resp.ProtoMajor != i+1 {
			t.Errorf("HTTP/%d: %d", resp.ProtoMajor, resp.StatusCode)
		}
		if code, body := d.put(w.job("other", []schemas.File{file}, to("other")), nil...); code != 403 {
			t.Errorf("%d %s", code, body)
		}
	}
	d.client = as(false, ca.client("unknown.example.org"))
	if code, body := d.ask("GET", "/v1/jobs/one", nil); code != 401 {
		t.Errorf("a certificate of no caller's: %d %s", code, body)
	}
	for name, client := range map[string]*http.Client{"no certificate": as(false), "a stranger's": as(false, strangers.client("lab.example.org"))} {
		resp, err := client.Get(d.url + "/v1/jobs/one")
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

// TestIntakeShowsNoPatientData: canaries in every value of jobs, files and requests are in
// no log, metric, answer to an error, claim or header of the queue.
func TestIntakeShowsNoPatientData(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(log.LstdFlags) })
	d := w.intake(func(s *IntakeSettings) { s.Job.CheckFiles = true; s.HTTP.Addr = "127.0.0.1:0" })
	stdlog.Take().Tell(d.log.Logger())
	file := w.put(canary+"-key.pdf", document(1000, "a"))
	file.Title = canary + " title.pdf"
	planted := func(j *schemas.Job) {
		j.Message, j.Correlation = json.RawMessage(plant(canary)), map[string]string{"note": "kept"}
	}
	answers := ""
	refused := func(want int, method, path string, data []byte, header ...string) {
		t.Helper()
		code, body := d.ask(method, path, data, header...)
		if code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
		answers += body
	}
	good := encoded(t, w.job("planted", []schemas.File{file}, planted))
	if code, body := d.ask("PUT", "/v1/jobs/planted", good, "User-Agent", canary, "X-"+canary, canary); code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	refused(200, "GET", "/v1/jobs/planted", nil)
	refused(409, "PUT", "/v1/jobs/planted", append(good, ' '))
	missing := file
	missing.Key = canary + "-missing.pdf"
	refused(422, "POST", "/v1/jobs", encoded(t, w.job("missing", []schemas.File{missing}, planted)))
	refused(422, "POST", "/v1/jobs", []byte(`{"id":"`+canary+`!","`+canary+`":"`+canary+`","message":{"`+canary+`":1,"`+canary+`":1}}`))
	refused(422, "POST", "/v1/jobs", []byte(canary))
	refused(200, "POST", "/v1/jobs", []byte(`{"`+canary+`":"`+canary+`"}`+"\n"+canary+"\n"), "Content-Type", "application/x-ndjson")
	refused(422, "POST", "/v1/jobs?class="+canary, good)
	refused(422, "POST", "/v1/files?name="+canary+".exe", append([]byte("MZ"), document(2000, "b")...), "Content-Type", "text/"+canary)
	refused(422, "POST", "/v1/files?name="+canary+".pdf&sha256="+canary, document(1000, "c"))
	refused(404, "GET", "/"+canary, nil)
	refused(404, "GET", "/v1/jobs/"+canary+"?destination="+canary, nil)
	d.answers("GET /v1/jobs/" + canary + " HTTP/1.1\r\nHost: localhost\r\n" + canary + "\r\n\r\n")
	metrics := d.metrics()
	places := map[string]string{"the answers": answers, "the log": d.log.String(), "the metrics": metrics}
	for _, name := range []string{"KV_CHARTPOST_INTAKE", "CHARTPOST_JOBS"} {
		places["the headers of "+name] = w.headersOf(name, name != "CHARTPOST_JOBS")
	}
	for place, text := range places {
		if text == "" || strings.Contains(text, canary) {
			t.Errorf("%s: empty, or the canary is there: %.2000s", place, text)
		}
	}
	if !strings.Contains(metrics, `chartpost_intake_jobs_total{class="live",result="stored"} 1`) || !strings.Contains(metrics, `result="id_conflict"} 1`) {
		t.Errorf("metrics: %s", metrics)
	}
}

// metrics reads them from where the log says that they are.
func (d *door) metrics() string {
	d.w.t.Helper()
	_, rest, _ := strings.Cut(d.log.String(), `"msg":"answering /healthz, /readyz and /metrics","http":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	var all strings.Builder
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			d.w.t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			d.w.t.Errorf("%s: %d %s", path, resp.StatusCode, data)
		}
		all.Write(data)
	}
	return all.String()
}

// headersOf gives the headers and subjects of a stream, and where wanted its contents.
func (w *world) headersOf(name string, contents bool) string {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	var all strings.Builder
	info := stream.CachedInfo().State
	for sequence := info.FirstSeq; sequence <= info.LastSeq; sequence++ {
		msg, err := stream.GetMsg(w.t.Context(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // one that was removed
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all.WriteString(msg.Subject)
		for key, values := range msg.Header {
			all.WriteString(key + strings.Join(values, " "))
		}
		if contents {
			all.Write(msg.Data)
		}
	}
	return all.String()
}

// TestIntakeKeepsNoBrokenFile: a caller that goes away in the midst of a file leaves
// nothing, and neither does a file that may not leave.
func TestIntakeKeepsNoBrokenFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	folder := strings.ToLower(t.Name())
	d := w.intake(func(s *IntakeSettings) { s.Doors.Uploads = testBucket + "/" + folder + "/" })
	conn := d.raw()
	if _, err := io.WriteString(conn, "POST /v1/files?name=a.pdf HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("%PDF", 100_000)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	devtest.Until(t, "the intake notices", patienceOfTests, func() bool { return strings.Contains(d.log.String(), `"code":"body_unreadable"`) })
	if code, body := d.ask("POST", "/v1/files?name=a.pdf", append([]byte("\x7fELF"), document(5000, "a")...)); code != 422 || !strings.Contains(body, `"code":"file_`) {
		t.Errorf("a program: %d %s", code, body)
	}
	if code, body := d.ask("POST", "/v1/files?name=a.pdf&sha256="+sha(nil), document(5000, "a")); code != 422 || !strings.Contains(body, "file_hash_mismatch") {
		t.Errorf("other bytes: %d %s", code, body)
	}
	client := s3dev.Client(w.settings.S3.Endpoint, s3dev.Options{})
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(testBucket), Prefix: aws.String(folder)})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range out.Contents {
		t.Errorf("%s of %d bytes is there", aws.ToString(one.Key), aws.ToInt64(one.Size))
	}
}

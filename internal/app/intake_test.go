package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/intake/web"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/schemas"
)

// door is an intake under test.
type door struct {
	w   *world
	url string
	log *devtest.Log
	// client speaks for the callers.
	client *http.Client
	stop   func()
}

// intakeSettings reach the world, as an operator would write them.
func (w *world) intakeSettings() IntakeSettings {
	return IntakeSettings{
		NATS: w.settings.NATS, S3: w.settings.S3,
		Job:     IntakeJobs{Environment: "Development", SourceID: w.settings.Redox.SourceID, EmbedLimit: 200_000, FileLimit: 30_000_000},
		Doors:   IntakeDoors{Addr: "127.0.0.1:0", NATS: "on", NATSFiles: []string{"*"}, Uploads: testBucket + "/incoming/", Grace: 10 * time.Second},
		Callers: IntakeCallers{Destinations: "chartpost_destinations", Classes: "chartpost_classes", Files: "chartpost_files"},
		Limits:  IntakeLimits{Requests: 64, Streams: 8, Lane: 10_000, All: 256, AllStreams: 32, Connections: 1000},
	}
}

// intake runs an intake until the test ends, or until stop is called.
func (w *world) intake(change ...func(*IntakeSettings)) *door {
	w.t.Helper()
	settings := w.intakeSettings()
	for _, one := range change {
		one(&settings)
	}
	if err := settings.Check(); err != nil {
		w.t.Fatal(err)
	}
	d := &door{w: w, log: &devtest.Log{}, client: &http.Client{Timeout: patienceOfTests}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- RunIntake(ctx, settings, d.log.Logger(), func(addr string) { ready <- addr })
	}()
	select {
	case addr := <-ready:
		d.url = "http://" + addr
	case err := <-ended:
		cancel()
		w.t.Fatalf("the intake did not start: %v\n%s", err, d.log.Tail())
	}
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("the intake: %v", err)
			}
		})
	}
	w.t.Cleanup(d.stop)
	return d
}

// ask sends a request and gives the status and the body.
func (d *door) ask(method, path string, body []byte, header ...string) (int, string) {
	d.w.t.Helper()
	resp := d.do(method, path, body, header...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func (d *door) do(method, path string, body []byte, header ...string) *http.Response {
	d.w.t.Helper()
	r, err := http.NewRequestWithContext(d.w.t.Context(), method, d.url+path, bytes.NewReader(body))
	if err != nil {
		d.w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.client.Do(r)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return resp
}

// put submits a job under its id.
func (d *door) put(job schemas.Job, header ...string) (int, string) {
	d.w.t.Helper()
	return d.ask("PUT", "/v1/jobs/"+job.ID, encoded(d.w.t, job), header...)
}

func encoded(t testing.TB, job schemas.Job) []byte {
	t.Helper()
	data, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestIntakeFromFileToAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	d := w.intake()
	code, body := d.ask("POST", "/v1/files?name=report.pdf", document(70_000, "a"), "Content-Type", "application/x-www-form-urlencoded")
	var file schemas.File
	if err := json.Unmarshal([]byte(body), &file); code != 201 || err != nil || file.SHA256 != sha(document(70_000, "a")) || file.Title != "report.pdf" || !strings.HasPrefix(file.Key, "incoming/local/") {
		t.Fatalf("%d %s", code, body)
	}
	job := w.job("first", []schemas.File{file})
	code, body = d.put(job, "Prefer", "wait=60")
	if code != 200 || !strings.Contains(body, `"state":"accepted"`) || !strings.Contains(body, `"destination":"good-health"`) {
		t.Fatalf("%d %s\n%s", code, body, w.log.Tail())
	}
	if event := w.final("first"); event.Data.Status != schemas.StatusAccepted {
		t.Errorf("%+v", event.Data)
	}
	if code, body := d.put(job); code != 200 || !strings.Contains(body, `"result":"known"`) {
		t.Errorf("the same again: %d %s", code, body)
	}
	other := job
	other.Correlation = map[string]string{"a": "b"}
	if code, body := d.put(other); code != 409 || !strings.Contains(body, `"code":"id_conflict"`) {
		t.Errorf("other content: %d %s", code, body)
	}
	for _, path := range []string{"/v1/jobs/first", "/v1/jobs/first?destination=good-health"} {
		if code, body := d.ask("GET", path, nil); code != 200 || !strings.Contains(body, `"state":"accepted"`) || !strings.Contains(body, `"status":"accepted"`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := d.ask("GET", "/v1/jobs/other", nil); code != 404 || !strings.Contains(body, "job_unknown") {
		t.Errorf("%d %s", code, body)
	}
	if n := len(w.sim.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestIntakeBeforeAWorker: until a worker knows a job, its claim does. Two processes give
// one copy.
func TestIntakeBeforeAWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	doors := []*door{w.intake(), w.intake()}
	job := w.job("one", []schemas.File{w.put("a.pdf", document(1000, "a"))})
	var mu sync.Mutex
	results := map[string]int{}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			code, body := doors[i%2].put(job)
			var told struct{ Result string }
			_ = json.Unmarshal([]byte(body), &told)
			mu.Lock()
			defer mu.Unlock()
			results[fmt.Sprintf("%d %s", code, told.Result)]++
		})
	}
	all.Wait()
	if results["202 stored"] != 1 || results["200 known"] != 39 {
		t.Errorf("%v", results)
	}
	other := job
	other.Transfer = schemas.Embed
	if code, body := doors[0].put(other); code != 409 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := doors[1].ask("GET", "/v1/jobs/one", nil); code != 200 || !strings.Contains(body, `"state":"queued"`) {
		t.Errorf("%d %s", code, body)
	}
	stream, err := w.js.Stream(t.Context(), "CHARTPOST_JOBS")
	if err != nil || stream.CachedInfo().State.Msgs != 1 {
		t.Errorf("%+v, %v", stream.CachedInfo().State, err)
	}
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if code, body := doors[0].put(w.job("traced", job.Files), "traceparent", trace); code != 202 {
		t.Errorf("%d %s", code, body)
	}
	if msg, err := stream.GetMsg(t.Context(), 2); err != nil || msg.Header.Get("traceparent") != trace || len(msg.Header) != 2 {
		t.Errorf("%+v, %v", msg, err)
	}
	w.worker()
	if event := w.final("one"); event.Data.Status != schemas.StatusAccepted {
		t.Errorf("%+v", event.Data)
	}
	w.drained()
	if got := w.statuses("one"); got != "1/accepted" {
		t.Errorf("%s", got)
	}
}

// TestIntakeTellsAllErrors: each with a pointer, and none with a value.
func TestIntakeTellsAllErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.Job.CheckFiles = true; s.S3.Buckets = []string{testBucket} })
	file := w.put("a.pdf", document(1000, "a"))
	message := func(text string) func(*schemas.Job) {
		return func(j *schemas.Job) { j.Message = json.RawMessage(text) }
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"schema": {[]byte(`{"id":"x","operation":"documentreference-create","destination":{"slug":"` + canary + `!"},"files":[],"secret":"` + canary + `"}`),
			"/destination/environment /destination/slug /files /message /requested_at /*"},
		"environment and message": {encoded(t, w.job("x", []schemas.File{file}, message(`{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference","status":3}}`), func(j *schemas.Job) { j.Destination.Environment = schemas.Production })),
			"/destination/environment /message"},
		"message":  {encoded(t, w.job("x", []schemas.File{file}, message(`{"patient":{"resourceType":"Patient","id":"`+canary+` "},"resource":{"resourceType":"DocumentReference","id":"`+canary+` ","status":"current"}}`))), "/message/patient/id /message/resource/id"},
		"expired":  {encoded(t, w.job("x", []schemas.File{file}, func(j *schemas.Job) { j.RequestedAt = time.Now().Add(-80 * time.Hour) })), "/requested_at"},
		"places":   {encoded(t, w.job("x", []schemas.File{{Bucket: "elsewhere", Key: canary}})), "/files/0"},
		"missing":  {encoded(t, w.job("x", []schemas.File{{Bucket: testBucket, Key: canary}})), "/files/0"},
		"macro":    {encoded(t, w.job("x", []schemas.File{w.put("b.exe", append([]byte("MZ"), document(1000, "b")...))})), "/files/0"},
		"the path": {encoded(t, w.job("y", []schemas.File{file})), "/id"},
		"not JSON": {[]byte(canary), ""},
		"empty":    {nil, ""},
	} {
		code, body := d.ask("PUT", "/v1/jobs/x", c.data)
		var p struct {
			Status int
			Code   string
			Type   string
			Errors []struct{ Pointer, Code, Detail string }
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || code != 422 || p.Status != 422 || p.Code != "job_invalid" || len(p.Errors) == 0 {
			t.Errorf("%s: %d %s", name, code, body)
			continue
		}
		for _, want := range strings.Fields(c.want) {
			found := false
			for _, e := range p.Errors {
				found = found || strings.HasPrefix(e.Pointer, want) && e.Code != "" && e.Detail != ""
			}
			if !found {
				t.Errorf("%s: nothing at %s: %s", name, want, body)
			}
		}
		if strings.Contains(body, canary) {
			t.Errorf("%s: a value is shown: %s", name, body)
		}
	}
	if code, body := d.ask("PUT", "/v1/jobs/x", encoded(t, w.job("x", []schemas.File{file}))); code != 202 {
		t.Errorf("a good one: %d %s", code, body)
	}
}

func TestIntakeTakesLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake()
	file := w.put("a.pdf", document(1000, "a"))
	from, into := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", d.url+"/v1/jobs?class=backfill", from)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	lines := make(chan string, 10)
	go func() {
		resp, err := d.client.Do(r)
		if err != nil {
			close(lines)
			return
		}
		defer resp.Body.Close()
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	expect := func(sent string, want ...string) {
		t.Helper()
		if _, err := io.WriteString(into, sent); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-lines:
			for _, one := range want {
				if !strings.Contains(got, one) {
					t.Errorf("%s, want %s", got, one)
				}
			}
		case <-time.After(patienceOfTests):
			t.Fatal("no answer while the request goes on")
		}
	}
	first := string(encoded(t, w.job("l-1", []schemas.File{file}))) + "\n"
	expect(first, `"line":1`, `"status":202`, `"id":"l-1"`, `"class":"backfill"`, `"result":"stored"`)
	expect("\n{}\n", `"line":3`, `"status":422`, `"errors":[`)
	expect(first, `"line":4`, `"status":200`, `"result":"known"`)
	expect(strings.Replace(first, "l-1", "l-2", 1), `"line":5`, `"status":202`)
	expect(strings.Repeat("x", schemas.MaxJobSize+10)+"\n", `"line":6`, `"status":413`)
	into.Close()
	for left := range lines {
		t.Errorf("one more: %s", left)
	}
}

// TestIntakeReadsLinesMoreSlowly: a caller of more lines than it may send is not taken for a
// slow one, since it is this process that does not read.
func TestIntakeReadsLinesMoreSlowly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.Limits.Rate, s.FileStall = 8, 200*time.Millisecond })
	file := w.put("a.pdf", document(1000, "a"))
	var all bytes.Buffer
	for i := range 40 {
		all.Write(append(encoded(t, w.job(fmt.Sprintf("slow-%d", i), []schemas.File{file})), '\n'))
	}
	code, body := d.ask("POST", "/v1/jobs", all.Bytes(), "Content-Type", "application/x-ndjson")
	if n := strings.Count(body, `"status":202`); code != 200 || n != 40 {
		t.Errorf("%d of 40 jobs were taken: %d %.300s", n, code, body[max(0, len(body)-300):])
	}
}

// TestIntakeOverNATS: one request is enough, and the service can be found.
func TestIntakeOverNATS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	w.intake(func(s *IntakeSettings) { s.Doors.NATSFiles = []string{testBucket + "/" + t.Name() + "/"} })
	nc, err := nats.Connect(w.settings.NATS.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := func(subject string, data []byte) (string, string) {
		t.Helper()
		msg, err := nc.Request(subject, data, patienceOfTests)
		if err != nil {
			t.Fatal(err)
		}
		return msg.Header.Get("Nats-Service-Error-Code"), string(msg.Data)
	}
	job := encoded(t, w.job("n-1", []schemas.File{w.put("a.pdf", document(1000, "a"))}))
	if code, body := ask("chartpost.submit.live.good-health", job); code != "" || !strings.Contains(body, `"result":"stored"`) {
		t.Fatalf("%s %s", code, body)
	}
	if event := w.final("n-1"); event.Data.Status != schemas.StatusAccepted {
		t.Errorf("%+v", event.Data)
	}
	for want, c := range map[string]struct {
		subject string
		data    []byte
	}{
		` "result":"known"`:             {"chartpost.submit.live.good-health", job},
		` "state":"accepted"`:           {"chartpost.submit.status.good-health", []byte("n-1")},
		`404 job_unknown`:               {"chartpost.submit.status.other", []byte("n-1")},
		`422 id_invalid`:                {"chartpost.submit.status.good-health", []byte("n 1")},
		`422 "code":"subject_mismatch"`: {"chartpost.submit.live.other", job},
		`422 subject_invalid`:           {"chartpost.submit.live.good_health", job},
		`422 "pointer":"/message"`:      {"chartpost.submit.live.good-health", []byte(`{"id":"a"}`)},
		`422 "code":"file_not_allowed"`: {"chartpost.submit.live.good-health", encoded(t, w.job("n-2", []schemas.File{{Bucket: testBucket, Key: "other/a.pdf"}}))},
		` "name":"chartpost-intake"`:    {"$SRV.PING", nil},
		` chartpost.submit.live.*`:      {"$SRV.INFO.chartpost-intake", nil},
		` "num_requests"`:               {"$SRV.STATS.chartpost-intake", nil},
	} {
		code, body := ask(c.subject, c.data)
		wantCode, wantBody, _ := strings.Cut(want, " ")
		if code != wantCode || !strings.Contains(body, wantBody) {
			t.Errorf("%s: %s %s, want %s", c.subject, code, body, want)
		}
	}
}

// TestIntakeCountsRequestsOverNATS: a destination has no more requests in hand than any
// other caller, so that the others' find a place.
func TestIntakeCountsRequestsOverNATS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	settings := w.intakeSettings()
	queue, err := Queue(settings.NATS, "test", (&devtest.Log{}).Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Close() })
	parts, err := settings.parts(t.Context(), queue, (&devtest.Log{}).Logger())
	if err != nil {
		t.Fatal(err)
	}
	parts.Meter = telemetry.NewIntake("test", func() []telemetry.Check { return nil })
	log := &devtest.Log{}
	door := natsDoor{Parts: parts, audit: web.NewAudit(log.Logger())}
	for range settings.Limits.Requests {
		if _, err := parts.Quotas.Request(door.grant("good-health").Caller); err != nil {
			t.Fatal(err)
		}
	}
	lane, key := schemas.Lane{Class: schemas.Live, Destination: "good-health"}, schemas.JobKey{Destination: "good-health", ID: "a"}
	for what, answer := range map[string]natsq.Answer{"a job": door.Submit(t.Context(), lane, []byte("{}")), "a question": door.Status(t.Context(), key)} {
		if answer.Code != "too_many_requests" {
			t.Errorf("%s beside as many requests as may: %d %s", what, answer.Status, answer.Code)
		}
	}
	if answer := door.Status(t.Context(), schemas.JobKey{Destination: "other", ID: "a"}); answer.Code != "job_unknown" {
		t.Errorf("another destination: %d %s", answer.Status, answer.Code)
	}
	for range 1000 {
		door.Submit(t.Context(), lane, []byte("{}"))
	}
	if n := strings.Count(log.String(), "refused"); n < 4 || n > 200 {
		t.Errorf("a flood of refusals made %d lines of the log", n)
	}
}

// TestIntakeQuotas: what is too much is answered with 429, and when to come again.
func TestIntakeQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.intake(func(s *IntakeSettings) { s.Limits.Rate, s.Limits.Lane, s.Limits.Bytes = 2, 1, 40_000 })
	file := w.put("a.pdf", document(1000, "a"))
	if code, body := d.put(w.job("one", []schemas.File{file})); code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	two := encoded(t, w.job("two", []schemas.File{file}))
	codes := make(chan string, 30)
	var callers sync.WaitGroup
	for range cap(codes) { // at once, so that a slow machine is too fast as well
		callers.Go(func() {
			resp := d.do("PUT", "/v1/jobs/two", two)
			defer resp.Body.Close()
			var p struct{ Code string }
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%d %v %v", resp.StatusCode, resp.Header, err)
			}
			codes <- p.Code
		})
	}
	callers.Wait()
	close(codes)
	seen := map[string]bool{}
	for code := range codes {
		seen[code] = true
	}
	if !seen["lane_full"] || !seen["rate"] {
		t.Errorf("%v", seen)
	}
	began := time.Now()
	devtest.Until(t, "a file is taken, more slowly", patienceOfTests, func() bool {
		code, _ := d.ask("POST", "/v1/files?name=a.pdf", document(300_000, "b"))
		return code == 201
	})
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("300 kB at 40 kB/s with a burst of 160 kB took %s", took)
	}
}

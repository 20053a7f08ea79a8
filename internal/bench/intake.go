package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/schemas"
)

// taken is what an intake takes over HTTP, beside one nats-server and the S3 server.
type taken struct {
	// Single is jobs of 2 kB a second, a request each; Lines is the same, many in a request.
	Single float64 `json:"single_jobs_per_second"`
	Lines  float64 `json:"lines_jobs_per_second"`
	// CPU is the intake's time for a job of its own request, in milliseconds.
	CPU float64 `json:"cpu_ms_per_job"`
	// Files is MB a second of files of 30 MB, one after the other, and Copy that of a plain
	// PUT of the same bytes to the same server.
	Files float64 `json:"files_mb_per_second"`
	Copy  float64 `json:"copy_mb_per_second"`
	// PeakJobs and PeakFiles are the most resident memory, in MB, after each.
	PeakJobs  float64 `json:"peak_mb_jobs"`
	PeakFiles float64 `json:"peak_mb_files"`
}

const (
	intakeJobs    = 20_000
	intakeCallers = 32
	intakeFiles   = 20
	intakeJobSize = 2000
)

// measureIntake measures an intake alone, without workers.
func measureIntake(ctx context.Context, s *stage, o options, to *report) (err error) {
	q, err := s.queue(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	p, url, err := s.intake(q.url())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.ready(ctx); err != nil {
		return err
	}
	c := intakeCaller{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: intakeCallers}}}
	out := &taken{}
	jobs := max(intakeCallers, int(intakeJobs*o.factor))
	if err := c.jobs(ctx, "warm", jobs/10); err != nil {
		return err
	}
	before, err := cpuOf(p.pid())
	if err != nil {
		return err
	}
	if out.Single, err = perSecond(jobs, func() error { return c.jobs(ctx, "single", jobs) }); err != nil {
		return err
	}
	after, err := cpuOf(p.pid())
	if err != nil {
		return err
	}
	out.CPU = milliseconds(after-before) / float64(jobs)
	if out.Lines, err = perSecond(jobs, func() error { return c.lines(ctx, jobs) }); err != nil {
		return err
	}
	if out.PeakJobs, err = peakMB(p); err != nil {
		return err
	}
	if err := s.measureFiles(ctx, c, out, max(2, int(intakeFiles*o.factor))); err != nil {
		return err
	}
	if out.PeakFiles, err = peakMB(p); err != nil {
		return err
	}
	to.Intake = out
	progress("intake: %.0f jobs/s one by one (%.2f ms of CPU each), %.0f by lines, peak %.0f MB; files %.0f MB/s, a plain copy %.0f (%.0f %%), peak %.0f MB",
		out.Single, out.CPU, out.Lines, out.PeakJobs, out.Files, out.Copy, 100*out.Files/out.Copy, out.PeakFiles)
	return nil
}

func peakMB(p *process) (float64, error) {
	peak, err := peakOf(p.pid())
	return float64(peak) / mB, err
}

func perSecond(n int, do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return float64(n) / time.Since(began).Seconds(), err
}

// intake starts an intake on loopback without limits of callers.
func (s *stage) intake(queue string) (*process, string, error) {
	jobs, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	pages, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(s.chartpost, "intake")
	cmd.Env = append(s.environment(),
		"CHARTPOST_NATS_URL="+queue, "CHARTPOST_PREFIX="+prefix, "CHARTPOST_REDOX_ENVIRONMENT=Development", "CHARTPOST_REDOX_SOURCE_ID="+s.sourceID,
		"CHARTPOST_S3_ENDPOINT="+s.s3.URL(), "CHARTPOST_S3_PATH_STYLE=true", "CHARTPOST_UPLOADS="+bucket+"/incoming/",
		"CHARTPOST_INTAKE_ADDR="+jobs, "CHARTPOST_HTTP_ADDR="+pages, "CHARTPOST_LOG_FORMAT=json",
		"CHARTPOST_CALLER_RATE=0", "CHARTPOST_CALLER_BYTES=0", "CHARTPOST_CALLER_REQUESTS=64", "CHARTPOST_LANE_LIMIT=0",
	)
	p, err := s.start(cmd, "intake")
	if err != nil {
		return nil, "", err
	}
	p.http = "http://" + pages
	return p, "http://" + jobs, nil
}

// intakeCaller submits.
type intakeCaller struct {
	url    string
	client *http.Client
}

// job is one of 2 kB.
func (intakeCaller) job(kind string, n int) []byte {
	job := schemas.Job{
		ID: fmt.Sprintf("%s-%d", kind, n), Operation: "documentreference-create",
		Destination: schemas.Destination{Slug: fmt.Sprintf("clinic-%d", n%lanes), Environment: schemas.Development},
		Files:       []schemas.File{{Bucket: bucket, Key: "a.pdf"}}, RequestedAt: time.Now().UTC().Truncate(time.Second),
	}
	const message = `{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"%d"}],"name":[{"family":"Bench"}],"gender":"female","birthDate":"1970-01-01"},"resource":{"resourceType":"DocumentReference","status":"current","description":"%s"}}`
	job.Message = fmt.Appendf(nil, message, n, bytes.Repeat([]byte("x"), intakeJobSize-560))
	data, err := json.Marshal(job)
	if err != nil {
		panic(err) // it has no value that cannot be encoded
	}
	return data
}

// jobs sends each in a request of its own, as many at once as there are callers.
func (c intakeCaller) jobs(ctx context.Context, kind string, jobs int) error {
	numbers := make(chan int)
	faults := make(chan error, intakeCallers)
	var all sync.WaitGroup
	for range intakeCallers {
		all.Go(func() {
			for n := range numbers {
				if err := c.send(ctx, "/v1/jobs", "application/json", bytes.NewReader(c.job(kind, n)), http.StatusAccepted); err != nil {
					offer(faults, err)
				}
			}
		})
	}
	for n := range jobs {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	close(faults)
	return <-faults
}

// lines sends all in four requests.
func (c intakeCaller) lines(ctx context.Context, jobs int) error {
	const requests = 4
	faults := make(chan error, requests)
	var all sync.WaitGroup
	for part := range requests {
		all.Go(func() {
			from, into := io.Pipe()
			go func() {
				for n := part; n < jobs; n += requests {
					if _, err := into.Write(append(c.job("line", n), '\n')); err != nil {
						return
					}
				}
				into.Close()
			}()
			offer(faults, c.send(ctx, "/v1/jobs", "application/x-ndjson", from, http.StatusOK))
		})
	}
	all.Wait()
	close(faults)
	var err error
	for one := range faults {
		err = errors.Join(err, one)
	}
	return err
}

// send makes one request, and reads its answer.
func (c intakeCaller) send(ctx context.Context, path, contentType string, body io.Reader, want int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != want || bytes.Contains(answer, []byte(`"problem"`))) {
		err = fmt.Errorf("the intake answered %d: %.500s", resp.StatusCode, answer)
	}
	return err
}

// measureFiles sends files of 30 MB through the intake and past it, in turn.
func (s *stage) measureFiles(ctx context.Context, c intakeCaller, out *taken, files int) error {
	data := pdf(30 * mB)
	var through, plain time.Duration
	for n := range files + 1 {
		began := time.Now()
		if err := c.send(ctx, "/v1/files?name=a.pdf", "application/pdf", bytes.NewReader(data), http.StatusCreated); err != nil {
			return err
		}
		took := time.Since(began)
		began = time.Now()
		_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(fmt.Sprintf("copy-%d.pdf", n)), Body: bytes.NewReader(data), ContentType: aws.String("application/pdf"),
		})
		if err != nil {
			return err
		}
		if n > 0 { // the first one warms up
			through, plain = through+took, plain+time.Since(began)
		}
	}
	megabytes := float64(files) * 30
	out.Files, out.Copy = megabytes/through.Seconds(), megabytes/plain.Seconds()
	return nil
}

// goals are the bounds on what an intake takes.
func (t *taken) goals() []goal {
	return []goal{
		{Of: "intake: jobs of 2 kB a second", Bound: 2000, Least: true, Got: t.Single},
		{Of: "intake: files, per cent of a plain copy", Bound: 85, Least: true, Got: 100 * t.Files / t.Copy},
		{Of: "intake: peak MB", Bound: 64 * 1.048576, Got: max(t.PeakJobs, t.PeakFiles)},
	}
}

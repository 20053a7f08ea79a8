package web

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

func tooLargeJob() error { return intake.TooLargeJob() }

// receipt is the answer to a job.
type receipt struct {
	ID          string        `json:"id"`
	Destination string        `json:"destination"`
	Class       schemas.Class `json:"class"`
	// Result is stored, or known where the same job was there before.
	Result string `json:"result"`
}

func receiptOf(r intake.Receipt) receipt {
	return receipt{r.Job.ID, r.Job.Destination, r.Class, r.Result()}
}

// lines are the media types of many jobs, one a line.
var lines = map[string]bool{"application/x-ndjson": true, "application/jsonl": true, "application/ndjson": true}

func (a *API) postJobs(c *call) error {
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if lines[kind] {
		return a.postLines(c)
	}
	return a.submit(c, "")
}

func (a *API) putJob(c *call) error {
	id := c.r.PathValue("id")
	if !schemas.ValidJobID(id) {
		return &intake.Refusal{Kind: intake.Invalid, Code: "id_invalid", Detail: "an id is 1 to 128 letters, digits, '_' or '-'"}
	}
	return a.submit(c, id)
}

// submit takes one job; id is what the path calls it.
func (a *API) submit(c *call, id string) error {
	class, err := classOf(c.r.URL.Query())
	if err != nil {
		return err
	}
	if c.r.ContentLength > schemas.MaxJobSize {
		return tooLargeJob()
	}
	if err := a.Quotas.Job(c.grant.Caller); err != nil {
		return err
	}
	h := &held{quotas: a.Quotas, caller: c.grant.Caller}
	defer h.release()
	b := a.body(c, a.settings.JobTime)
	data, err := h.fill(b)
	b.done(err)
	if err != nil {
		return err
	}
	r, err := a.store(c.r.Context(), intake.Submission{Grant: c.grant, Lane: schemas.Lane{Class: class}, ID: id, Data: data})
	if err != nil {
		return err
	}
	h.release()
	c.w.Header().Set("Location", "/v1/jobs/"+r.Job.ID+"?destination="+url.QueryEscape(r.Job.Destination))
	if wait := waitOf(c.r); wait > 0 {
		return a.await(c, r.Job, wait)
	}
	status := http.StatusAccepted
	if r.Known {
		status = http.StatusOK
	}
	c.answer(status, "application/json", receiptOf(r))
	return nil
}

// store submits, and counts what became of it.
func (a *API) store(ctx context.Context, one intake.Submission) (intake.Receipt, error) {
	r, err := a.Service.Submit(ctx, one)
	result := r.Result()
	if refusal, ok := errors.AsType[*intake.Refusal](err); ok {
		result = refusal.Code
	}
	a.Meter.Job(one.Lane.Class, result)
	return r, err
}

// await answers with what is known of a job when it goes no further, or when the wait is
// over.
func (a *API) await(c *call, job schemas.JobKey, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(c.r.Context(), wait)
	defer cancel()
	defer context.AfterFunc(a.ending, cancel)()
	a.Viewer.Await(ctx, job)
	status, err := a.Viewer.Status(c.r.Context(), c.grant, job)
	if err != nil {
		return err
	}
	c.w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
	c.answer(http.StatusOK, "application/json", status)
	return nil
}

// waitOf reads how long the caller waits for the end of its job: "Prefer: wait=30"
// (RFC 7240, 4.3), at most intake.MostWait.
func waitOf(r *http.Request) time.Duration {
	for _, header := range r.Header.Values("Prefer") {
		for one := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			if n, err := strconv.Atoi(strings.Trim(value, `" `)); strings.EqualFold(strings.TrimSpace(name), "wait") && err == nil && n > 0 {
				return min(time.Duration(min(n, 3600))*time.Second, intake.MostWait)
			}
		}
	}
	return 0
}

func classOf(query url.Values) (schemas.Class, error) {
	switch class := schemas.Class(query.Get("class")); class {
	case "":
		return schemas.Live, nil
	case schemas.Live, schemas.Backfill:
		return class, nil
	}
	return "", badQuery("class", "must be live or backfill")
}

func badQuery(name, text string) error {
	return &intake.Refusal{Kind: intake.Invalid, Code: "query_invalid", Detail: "the query parameter " + name + " " + text}
}

func (a *API) getJob(c *call) error {
	// A look costs several reads: it counts as a job does.
	if err := a.Quotas.Job(c.grant.Caller); err != nil {
		return err
	}
	status, err := a.Viewer.Status(c.r.Context(), c.grant, schemas.JobKey{Destination: c.r.URL.Query().Get("destination"), ID: c.r.PathValue("id")})
	if err != nil {
		return err
	}
	c.answer(http.StatusOK, "application/json", status)
	return nil
}

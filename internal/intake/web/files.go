package web

import (
	"errors"
	"net/http"

	"github.com/chartpost/chartpost/internal/intake"
)

// postFile streams a file into the store, and answers with the entry that names it in a
// job.
func (a *API) postFile(c *call) error {
	if a.Uploads == nil {
		return &intake.Refusal{Kind: intake.Forbidden, Code: "uploads_off", Detail: "this server takes no files: put the file into a bucket that your jobs may name"}
	}
	if c.r.ContentLength < 0 {
		c.code = "length_required"
		c.answer(http.StatusLengthRequired, "application/problem+json", problem{
			Type: "urn:chartpost:problem:length_required", Title: titleOf(http.StatusLengthRequired), Status: http.StatusLengthRequired,
			Detail: "send the file's length as Content-Length", Code: "length_required",
		})
		return nil
	}
	if err := a.Quotas.Job(c.grant.Caller); err != nil {
		return err
	}
	query := c.r.URL.Query()
	b := a.body(c, 0)
	file, err := a.Uploads.Take(c.r.Context(), intake.Upload{
		Grant: c.grant, Name: query.Get("name"), ContentType: c.r.Header.Get("Content-Type"), SHA256: query.Get("sha256"),
		Size: c.r.ContentLength, Body: b,
	})
	result := intake.ResultStored
	if refusal, ok := errors.AsType[*intake.Refusal](err); ok {
		result = refusal.Code
	} else if err != nil {
		result = bodyRefusal(err).Code
	}
	a.Meter.File(b.read, result)
	if err != nil {
		return err
	}
	c.answer(http.StatusCreated, "application/json", file)
	return nil
}

// Package redoxport lets the pipeline speak to Redox through redoxclient: it
// passes requests on and turns the client's errors into faults. Its only decision
// is whose fault a failure is.
package redoxport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
)

// Gate implements pipeline.Redox.
type Gate struct {
	client *redoxclient.Client
	budget Budget
}

// Budget gives the right to requests.
type Budget interface {
	// Admit waits for the right to one request of a class.
	Admit(ctx context.Context, class schemas.Class) error
	// TryAdmit takes it if there is nothing to wait for.
	TryAdmit(class schemas.Class) bool
}

var _ pipeline.Redox = (*Gate)(nil)

// New lets the pipeline use client. A nil budget gives every right at once.
func New(client *redoxclient.Client, budget Budget) *Gate {
	return &Gate{client: client, budget: budget}
}

// TryAdmit implements pipeline.Redox.
func (g *Gate) TryAdmit(class schemas.Class) bool { return g.budget == nil || g.budget.TryAdmit(class) }

// Admit implements pipeline.Redox.
func (g *Gate) Admit(ctx context.Context, class schemas.Class) error {
	if g.budget == nil {
		return nil
	}
	err := g.budget.Admit(ctx, class)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted", Text: "the worker was stopped", Cause: err}
	}
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Redox, Code: "budget_closed", Text: "the request budget allows no request any more", Cause: err}
}

// Authorize implements pipeline.Redox.
func (g *Gate) Authorize(ctx context.Context) error { return faultOf(g.client.Authorize(ctx)) }

// Upload implements pipeline.Redox.
func (g *Gate) Upload(ctx context.Context, p pipeline.UploadRequest) (string, error) {
	up, err := g.upload(ctx, p)
	if err != nil {
		return "", faultOf(err)
	}
	return up.URL, nil
}

func (g *Gate) upload(ctx context.Context, p pipeline.UploadRequest) (*redoxclient.Upload, error) {
	body := redoxclient.Body{Size: p.Size, Open: p.Open, PermittedAt: p.AdmittedAt}
	if p.DataModel {
		return g.client.UploadBlob(ctx, redoxclient.BlobRequest{
			SourceID: p.SourceID, FileName: p.FileName, ContentType: p.ContentType, Body: body,
		})
	}
	return g.client.Upload(ctx, redoxclient.UploadRequest{SourceID: p.SourceID, ContentType: p.ContentType, Body: body})
}

// Send implements pipeline.Redox.
func (g *Gate) Send(ctx context.Context, l pipeline.MessageRequest) (schemas.Receipt, error) {
	receipt, err := g.send(ctx, l)
	if err != nil {
		return schemas.Receipt{}, faultOf(err)
	}
	return schemas.Receipt{Status: receipt.Status, Location: receipt.Location, LogIDs: receipt.LogIDs, TraceID: receipt.TraceID}, nil
}

// send posts a letter. One of the Data Model says inside from whom and to whom
// it goes.
func (g *Gate) send(ctx context.Context, l pipeline.MessageRequest) (*redoxclient.Receipt, error) {
	body := redoxclient.Body{Size: l.Size, Open: l.Open, PermittedAt: l.AdmittedAt}
	if l.DataModel {
		return g.client.SendDataModel(ctx, redoxclient.DataModelRequest{Destination: l.Destination.Address(), Body: body})
	}
	return g.client.Send(ctx, redoxclient.SendRequest{
		Destination: l.Destination.Slug, Path: l.Path, SourceID: l.SourceID, ContentType: l.ContentType, Body: body,
	})
}

// faultOf turns a client's error into a fault. A fault inside it, of the file
// that was being read, is the truer reason, unless the outcome is unknown.
func faultOf(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*redoxclient.Error](err)
	if !ok {
		return fault.Of(err)
	}
	if inner, ok := errors.AsType[*fault.Fault](e.Unwrap()); ok && e.Kind != redoxclient.UnknownOutcome {
		return inner
	}
	f := &fault.Fault{Kind: kindOf(e), Scope: scopeOf(e), Code: codeOf(e), Text: e.Error(), RetryAfter: waitOf(e), Cause: err}
	f.Acknowledged = f.Kind == fault.UnknownOutcome && e.Status >= 200 && e.Status < 300
	// A 403 may be for this worker's key.
	f.Refused = f.Kind == fault.Permanent && e.Status != 0
	f.Own = f.Refused && e.Status == http.StatusForbidden
	if e.Code == redoxclient.CodeSource || e.Code == redoxclient.CodeSourceSize || e.Code == redoxclient.CodeSourceStalled {
		f.Scope = fault.Store
	}
	return f
}

func kindOf(e *redoxclient.Error) fault.Kind {
	switch e.Kind {
	case redoxclient.Permanent, redoxclient.TooLarge:
		return fault.Permanent
	case redoxclient.UnknownOutcome:
		return fault.UnknownOutcome
	case redoxclient.Interrupted:
		return fault.Interrupted
	case redoxclient.Retryable, redoxclient.RateLimited:
		return fault.Retryable
	case redoxclient.Credentials:
		// An operator fixes a wrong key; until then it is no job's fault.
		return fault.Retryable
	default:
		return fault.Retryable
	}
}

// scopeOf tells whose fault it is. The token endpoint and the request budget are
// everyone's; a connection or an answer that fails is the destination's, or of all
// that is uploaded, and so is a new token that it alone refuses; a refusal is the
// job's.
func scopeOf(e *redoxclient.Error) fault.Scope {
	switch {
	case e.Kind == redoxclient.Interrupted:
		return fault.Job // wherever it was, this process alone has stopped
	case e.Kind == redoxclient.RateLimited && e.Ruling.OfDestination:
		return fault.Destination
	case e.Op == redoxclient.OpToken, e.Kind == redoxclient.RateLimited:
		return fault.Redox
	case e.Kind == redoxclient.Permanent, e.Kind == redoxclient.TooLarge:
		return fault.Job
	case e.Status == http.StatusProxyAuthRequired, e.Status == http.StatusNetworkAuthenticationRequired:
		return fault.Redox // the network between, for whatever is sent
	case e.Code == redoxclient.CodeDNS, e.Code == redoxclient.CodeConnect, e.Code == redoxclient.CodeCertificate:
		// Messages go to one host for all destinations.
		return fault.Redox
	case !e.Op.Message():
		return fault.Uploads
	}
	return fault.Destination
}

// longestWait is how long a Retry-After is obeyed at the most: it may stop a lane,
// or all of them.
const longestWait = 15 * time.Minute

// waitOf is the least wait: as it was ruled for a 429, else as it was asked for.
func waitOf(e *redoxclient.Error) time.Duration {
	return min(cmp.Or(e.Ruling.Wait, e.RetryAfter), longestWait)
}

// codeOf names the fault for events. What the pipeline itself answers to, a
// message that is too large, has a name of its own.
func codeOf(e *redoxclient.Error) string {
	switch {
	case e.Kind == redoxclient.TooLarge && e.Op.Message():
		return pipeline.CodeMessageTooLarge
	case e.Kind == redoxclient.TooLarge:
		return "upload_too_large"
	case e.Kind == redoxclient.RateLimited:
		return fault.CodeRateLimited
	case e.Kind == redoxclient.Credentials:
		return "redox_credentials"
	case e.Code == redoxclient.CodeStatus:
		return fmt.Sprintf("redox_status_%d", e.Status)
	}
	return "redox_" + e.Code
}

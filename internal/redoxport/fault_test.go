package redoxport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/redoxclient"
)

func TestFaults(t *testing.T) {
	const (
		token, upload, send = redoxclient.OpToken, redoxclient.OpUpload, redoxclient.OpSend
		blob, model         = redoxclient.OpUploadBlob, redoxclient.OpSendDataModel
	)
	cases := []struct {
		kind redoxclient.Kind
		ops  []redoxclient.Op
		code string
		want fault.Kind
		of   fault.Scope
		as   string
	}{
		{redoxclient.Retryable, []redoxclient.Op{send, model}, redoxclient.CodeStatus, fault.Retryable, fault.Destination, "redox_status_503"},
		{redoxclient.Retryable, []redoxclient.Op{upload, blob}, redoxclient.CodeStatus, fault.Retryable, fault.Uploads, "redox_status_503"},
		{redoxclient.Retryable, []redoxclient.Op{token}, redoxclient.CodeStatus, fault.Retryable, fault.Redox, "redox_status_503"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob, token}, redoxclient.CodeConnect, fault.Retryable, fault.Redox, "redox_connect"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob, token}, redoxclient.CodeDNS, fault.Retryable, fault.Redox, "redox_dns"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob, token}, redoxclient.CodeCertificate, fault.Retryable, fault.Redox, "redox_certificate"},
		{redoxclient.Retryable, []redoxclient.Op{send, model}, redoxclient.CodeRefused, fault.Retryable, fault.Destination, "redox_refused"},
		{redoxclient.Retryable, []redoxclient.Op{blob}, redoxclient.CodeAnswerUnreadable, fault.Retryable, fault.Uploads, "redox_answer_unreadable"},
		{redoxclient.Retryable, []redoxclient.Op{token}, redoxclient.CodeToken, fault.Retryable, fault.Redox, "redox_token_failed"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob}, redoxclient.CodeSource, fault.Retryable, fault.Store, "redox_source_failed"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob}, redoxclient.CodeSourceSize, fault.Retryable, fault.Store, "redox_source_size"},
		{redoxclient.Retryable, []redoxclient.Op{send, model, upload, blob}, redoxclient.CodeSourceStalled, fault.Retryable, fault.Store, "redox_source_stalled"},
		{redoxclient.Retryable, []redoxclient.Op{send, model}, redoxclient.CodeStalled, fault.Retryable, fault.Destination, "redox_stalled"},
		{redoxclient.Permanent, []redoxclient.Op{send, model, upload, blob}, redoxclient.CodeStatus, fault.Permanent, fault.Job, "redox_status_503"},
		{redoxclient.Permanent, []redoxclient.Op{send, model}, redoxclient.CodeRefused, fault.Permanent, fault.Job, "redox_refused"},
		{redoxclient.Permanent, []redoxclient.Op{upload, blob}, redoxclient.CodeBlobURL, fault.Permanent, fault.Job, "redox_blob_url_refused"},
		{redoxclient.Permanent, []redoxclient.Op{send, model, upload, blob}, redoxclient.CodeInvalidRequest, fault.Permanent, fault.Job, "redox_invalid_request"},
		{redoxclient.TooLarge, []redoxclient.Op{send, model}, redoxclient.CodeStatus, fault.Permanent, fault.Job, pipeline.CodeMessageTooLarge},
		{redoxclient.TooLarge, []redoxclient.Op{upload, blob}, redoxclient.CodeStatus, fault.Permanent, fault.Job, "upload_too_large"},
		{redoxclient.RateLimited, []redoxclient.Op{send, model, upload, blob, token}, redoxclient.CodeStatus, fault.Retryable, fault.Redox, "redox_rate_limited"},
		{redoxclient.Retryable, []redoxclient.Op{token}, redoxclient.CodeThrottled, fault.Retryable, fault.Redox, fault.CodeThrottled},
		{redoxclient.Credentials, []redoxclient.Op{send, model}, redoxclient.CodeUnauthorized, fault.Retryable, fault.Destination, "redox_credentials"},
		{redoxclient.Credentials, []redoxclient.Op{upload, blob}, redoxclient.CodeUnauthorized, fault.Retryable, fault.Uploads, "redox_credentials"},
		{redoxclient.Credentials, []redoxclient.Op{token}, redoxclient.CodeTokenRefused, fault.Retryable, fault.Redox, "redox_credentials"},
		{redoxclient.UnknownOutcome, []redoxclient.Op{send, model}, redoxclient.CodeStatus, fault.UnknownOutcome, fault.Destination, "redox_status_503"},
		{redoxclient.UnknownOutcome, []redoxclient.Op{send, model}, redoxclient.CodeConnectionBroken, fault.UnknownOutcome, fault.Destination, "redox_connection_broken"},
		{redoxclient.UnknownOutcome, []redoxclient.Op{send, model}, redoxclient.CodeCancelled, fault.UnknownOutcome, fault.Destination, "redox_cancelled"},
		{redoxclient.Interrupted, []redoxclient.Op{send, model, upload, blob, token}, redoxclient.CodeCancelled, fault.Interrupted, fault.Job, "redox_cancelled"},
	}
	for _, tc := range cases {
		for _, op := range tc.ops {
			t.Run(fmt.Sprint(tc.kind, tc.code, op), func(t *testing.T) {
				e := &redoxclient.Error{Kind: tc.kind, Op: op, Code: tc.code, Where: redoxclient.Answered,
					Reply: redoxclient.Reply{Status: 503, RetryAfter: 7 * time.Second}}
				f, ok := faultOf(fmt.Errorf("CANARY: %w", e)).(*fault.Fault)
				if !ok {
					t.Fatal("no fault")
				}
				if f.Kind != tc.want || f.Scope != tc.of || f.Code != tc.as || f.RetryAfter != 7*time.Second || f.Text != e.Error() {
					t.Errorf("got %s %s %s %s", f.Kind, f.Scope, f.Code, f.RetryAfter)
				}
				if got, ok := errors.AsType[*redoxclient.Error](f); !ok || got != e {
					t.Error("the client's error cannot be reached")
				}
				safe(t, f)
			})
		}
	}
	if faultOf(nil) != nil {
		t.Error("nothing became a fault")
	}
	f, ok := faultOf(errors.New("CANARY")).(*fault.Fault)
	if !ok || f.Kind != fault.Retryable {
		t.Fatalf("an error nobody judged: %v", f)
	}
	safe(t, f)
}

// A 429's scope and wait are as they were ruled; no Retry-After binds for longer
// than a quarter of an hour.
func TestRefusalsForTooManyRequests(t *testing.T) {
	ofDestination := redoxclient.Ruling{OfDestination: true, Wait: 10 * time.Second}
	for _, tc := range []struct {
		kind   redoxclient.Kind
		op     redoxclient.Op
		ruling redoxclient.Ruling
		asked  time.Duration
		scope  fault.Scope
		wait   time.Duration
	}{
		{redoxclient.RateLimited, redoxclient.OpSend, ofDestination, 0, fault.Destination, 10 * time.Second},
		{redoxclient.RateLimited, redoxclient.OpSendDataModel, ofDestination, 0, fault.Destination, 10 * time.Second},
		{redoxclient.RateLimited, redoxclient.OpSend, redoxclient.Ruling{Wait: time.Minute}, time.Minute, fault.Redox, time.Minute},
		{redoxclient.RateLimited, redoxclient.OpSend, redoxclient.Ruling{}, 24 * time.Hour, fault.Redox, 15 * time.Minute},
		{redoxclient.RateLimited, redoxclient.OpUpload, redoxclient.Ruling{Wait: 15 * time.Minute}, 24 * time.Hour, fault.Redox, 15 * time.Minute},
		{redoxclient.RateLimited, redoxclient.OpToken, redoxclient.Ruling{Wait: 15 * time.Minute}, 24 * time.Hour, fault.Redox, 15 * time.Minute},
		{redoxclient.Retryable, redoxclient.OpSend, redoxclient.Ruling{}, 24 * time.Hour, fault.Destination, 15 * time.Minute},
	} {
		e := &redoxclient.Error{Kind: tc.kind, Op: tc.op, Code: redoxclient.CodeStatus, Ruling: tc.ruling,
			Reply: redoxclient.Reply{Status: http.StatusTooManyRequests, RetryAfter: tc.asked}}
		if f := fault.Of(faultOf(e)); f.Kind != fault.Retryable || f.Scope != tc.scope || f.RetryAfter != tc.wait {
			t.Errorf("%s to %s, %+v: %s %s, wait %s", tc.kind, tc.op, tc.ruling, f.Kind, f.Scope, f.RetryAfter)
		}
	}
}

// What the network between asks for concerns whatever is sent.
func TestTheNetworkBetweenIsEverybodys(t *testing.T) {
	for _, status := range []int{http.StatusProxyAuthRequired, http.StatusNetworkAuthenticationRequired} {
		for _, op := range []redoxclient.Op{redoxclient.OpSend, redoxclient.OpSendDataModel, redoxclient.OpUpload, redoxclient.OpUploadBlob, redoxclient.OpToken} {
			e := &redoxclient.Error{Kind: redoxclient.Retryable, Op: op, Code: redoxclient.CodeStatus, Reply: redoxclient.Reply{Status: status}}
			if f := fault.Of(faultOf(e)); f.Scope != fault.Redox || f.Kind != fault.Retryable {
				t.Errorf("%d to %s: %s %s", status, op, f.Kind, f.Scope)
			}
		}
	}
}

var codeShape = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// safe looks at all that leaves: codes, texts and places.
func safe(t *testing.T, f *fault.Fault) {
	t.Helper()
	if !codeShape.MatchString(f.Code) {
		t.Errorf("code %q", f.Code)
	}
	for _, text := range []string{f.Text, f.Path, f.Error(), fmt.Sprint(f), fmt.Sprintf("%+v %q", f, f)} {
		if strings.Contains(text, "CANARY") || strings.Contains(text, "://") || strings.Contains(text, "127.0.0.1") {
			t.Errorf("leaks: %s", text)
		}
	}
}

// missing is the fault of a file that is being read.
var missing = &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_changed", Path: "/files/0", Cause: errors.New("CANARY key")}

func TestTheFilesOwnFault(t *testing.T) {
	opens := map[string]func(context.Context) (io.ReadCloser, error){
		"open":    func(context.Context) (io.ReadCloser, error) { return nil, missing },
		"wrapped": func(context.Context) (io.ReadCloser, error) { return nil, fmt.Errorf("CANARY: %w", missing) },
		"read": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("CANARY"), failing{missing})), nil
		},
		"at the end": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("CANARY 100"), failing{missing})), nil
		},
	}
	w := start(t)
	for name, open := range opens {
		for _, step := range steps {
			t.Run(name+" "+step.name, func(t *testing.T) {
				err := step.run(t.Context(), w.gate, pipeline.Payload{ContentType: "application/pdf", Size: 10, Open: open})
				if f, ok := err.(*fault.Fault); !ok || f != missing {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	if len(w.sim.Messages()) != 0 || len(w.sim.Uploads()) != 0 {
		t.Error("something was taken")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A worker that loses its job in the middle says so by a fault as the reason
// its context ended. Where the message may have left already, that it may have
// been taken matters more.
func TestAnUnknownOutcomeIsToldFirst(t *testing.T) {
	lost := &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "superseded"}
	arrived := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done() // the client leaves
	}))
	t.Cleanup(web.Close)
	client, err := redoxclient.New(redoxclient.Config{APIURL: web.URL, BlobURL: web.URL, Environment: "Development", Tokens: oneToken{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-arrived; cancel(lost) }()
			err := step.run(ctx, New(client, nil), text("CANARY body"))
			f, ok := err.(*fault.Fault)
			switch {
			case !ok:
				t.Fatalf("got %v", err)
			case !step.message && f != lost:
				t.Errorf("a file: %v", f)
			case step.message && (f.Kind != fault.UnknownOutcome || f.Code != "redox_cancelled" || !errors.Is(f, lost)):
				t.Errorf("a message: %v", f)
			}
			safe(t, f)
		})
	}
}

type oneToken struct{}

func (oneToken) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "CANARYTOKEN"}, nil
}

func (oneToken) Invalidate(string) {}

// TestWhatWasAcknowledged: an answer of 2xx that nobody understood is not one that
// was lost.
func TestWhatWasAcknowledged(t *testing.T) {
	for _, c := range []struct {
		kind   redoxclient.Kind
		status int
		want   bool
	}{
		{redoxclient.UnknownOutcome, http.StatusOK, true},
		{redoxclient.UnknownOutcome, http.StatusCreated, true},
		{redoxclient.UnknownOutcome, http.StatusGatewayTimeout, false},
		{redoxclient.UnknownOutcome, 0, false},
		{redoxclient.Permanent, http.StatusOK, false},
		{redoxclient.Retryable, http.StatusOK, false},
	} {
		f := fault.Of(faultOf(&redoxclient.Error{Kind: c.kind, Op: redoxclient.OpSend, Reply: redoxclient.Reply{Status: c.status}}))
		if f.Acknowledged != c.want {
			t.Errorf("%s with status %d: acknowledged %t", c.kind, c.status, f.Acknowledged)
		}
	}
}

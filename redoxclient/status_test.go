package redoxclient

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// statusKinds is what a status means for a message that was handed over whole,
// for a file, and for a token. An empty Kind is a success.
type statusKinds struct{ message, file, token Kind }

var (
	finalStatus   = statusKinds{Permanent, Permanent, Credentials}
	passingStatus = statusKinds{Retryable, Retryable, Retryable}
	openStatus    = statusKinds{UnknownOutcome, Retryable, Retryable}
)

// registeredStatuses are the codes of IANA's registry of HTTP status codes, and
// those without a registration that are common: 419, 420, 440, 444, 449, 450,
// 460, 463, 494-499, 509, 520-530, 561, 598, 599. What Redox lists goes first, then
// the RFC that defines the code.
var registeredStatuses = map[int]statusKinds{
	// 1xx before the real answer are skipped; 101 was not asked for.
	101: openStatus,

	200: {}, 201: {}, 202: {}, 203: {}, 204: {}, 205: {}, 206: {}, 207: {}, 208: {}, 226: {},

	300: finalStatus, 301: finalStatus, 302: finalStatus, 303: finalStatus, 304: finalStatus,
	305: finalStatus, 306: finalStatus, 307: finalStatus, 308: finalStatus,

	400: finalStatus, // Redox: badly formed
	401: {Credentials, Credentials, Credentials},
	402: finalStatus,
	403: finalStatus,   // Redox: verb, destination, event type or operation missing
	404: finalStatus,   // Redox: the same
	405: finalStatus,   // Redox: badly formed
	406: finalStatus,   // a firewall's refusal, for one
	407: passingStatus, // RFC 9110, 15.5.8: the proxy's own credentials are missing
	408: passingStatus, // Redox: retry
	409: finalStatus,   // Redox: badly formed
	410: finalStatus,
	411: finalStatus,
	412: finalStatus,
	413: {TooLarge, TooLarge, Credentials}, // Redox: over the size limit
	414: finalStatus,
	415: finalStatus, // Redox: badly formed
	416: finalStatus, // Redox: badly formed
	417: finalStatus, // RFC 9110, 15.5.18: only after the repeat without Expect
	418: finalStatus,
	421: passingStatus, // RFC 9110, 15.5.20: sent to a server that does not serve this host
	422: finalStatus,   // Redox: badly formed
	423: passingStatus, // RFC 4918, 11.3: locked
	424: finalStatus,
	425: passingStatus, // RFC 8470, 5.2: not processed, because it might be replayed
	426: finalStatus,
	428: finalStatus,
	429: {RateLimited, RateLimited, RateLimited},
	431: finalStatus,
	451: finalStatus,

	419: finalStatus, 420: finalStatus, 440: finalStatus, 444: finalStatus, 449: finalStatus, 450: finalStatus,
	460: finalStatus, 463: finalStatus, 494: finalStatus, 495: finalStatus, 496: finalStatus, 497: finalStatus,
	498: finalStatus, 499: finalStatus,

	500: passingStatus, // Redox: retry
	501: finalStatus,   // RFC 9110, 15.6.2: the method is not supported
	502: passingStatus, // Redox: dropped inside
	503: passingStatus, // Redox: retry
	504: openStatus,    // Redox: took too long
	505: finalStatus,   // RFC 9110, 15.6.6: the version of HTTP is not supported
	506: openStatus,
	507: passingStatus, // RFC 4918, 11.5: no room to store it; temporary
	508: openStatus,
	510: finalStatus,   // RFC 2774, 7: a policy for access is not met
	511: passingStatus, // RFC 6585, 6: the network between asks for a login

	509: openStatus, 520: openStatus, 521: openStatus, 522: openStatus, 523: openStatus, 524: openStatus, 525: openStatus,
	526: openStatus, 527: openStatus, 529: openStatus, 530: openStatus, 561: openStatus, 598: openStatus, 599: openStatus,
}

// classKinds is for a code that nobody registered (RFC 9110, 15: it is taken for
// the x00 of its class; what a 5xx leaves open stays open).
func classKinds(status int) statusKinds {
	return map[int]statusKinds{1: openStatus, 2: {}, 3: finalStatus, 4: finalStatus, 5: openStatus}[status/100]
}

// TestEveryStatus gives each status that a server can end an answer with to each
// kind of request.
func TestEveryStatus(t *testing.T) {
	var status atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", blobURL)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(int(status.Load()))
	})
	c := newClient(t, url)
	for code := 101; code <= 599; code++ {
		if code > 101 && code < 200 {
			continue // see TestInterimAnswersAreSkipped
		}
		want, registered := registeredStatuses[code]
		if !registered {
			want = classKinds(code)
		}
		status.Store(int64(code))
		for _, op := range allOps {
			kind := want.file
			if op.Message() {
				kind = want.message
			}
			t.Run(fmt.Sprint(code, op), func(t *testing.T) {
				err := callOp(t.Context(), c, op, canaryBody())
				if kind == "" {
					if err != nil && op != OpUploadBlob { // whose URL stands in a body
						t.Errorf("got %v", err)
					}
					return
				}
				e, ok := err.(*Error)
				if !ok || e.Kind != kind || e.Status != code {
					t.Errorf("got %v, want %s", err, kind)
				}
			})
		}
		if code == 200 || code == 201 {
			continue // a token's own success
		}
		t.Run(fmt.Sprint(code, OpToken), func(t *testing.T) {
			kind := want.token
			if kind == "" {
				kind = Credentials // only 200 and 201 give a token
			}
			if got := judgeTokenStatus(code, ""); got != kind {
				t.Errorf("got %s, want %s", got, kind)
			}
		})
	}
}

// A status that leaves the outcome of a whole message open leaves nothing open
// of one whose last bytes stayed here.
func TestAnOpenStatusBeforeTheEndOfAMessage(t *testing.T) {
	for code := 100; code <= 599; code++ {
		if kind := judgeStatus(OpSend, code, false); kind == UnknownOutcome {
			t.Errorf("%d: %s", code, kind)
		}
		if kind := judgeStatus(OpUpload, code, true); kind == UnknownOutcome {
			t.Errorf("%d to an upload: %s", code, kind)
		}
	}
}

func TestInterimAnswersAreSkipped(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for _, interim := range []int{102, 103, 104, 199} {
			w.WriteHeader(interim)
		}
		w.Header().Set("Location", blobURL)
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"URI":"`+blobURL+`"}`)
	})
	c := newClient(t, url)
	for _, op := range allOps {
		if err := callOp(t.Context(), c, op, canaryBody()); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// RFC 9110, 15.5.20: a repeat after a 421 goes over another connection.
func TestMisdirectedRequestLeavesItsConnection(t *testing.T) {
	var misdirected atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if first, _ := misdirected.Load().(string); first == "" || first == r.RemoteAddr {
			misdirected.Store(r.RemoteAddr)
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	})
	c := newClient(t, url)
	wantError(t, callOp(t.Context(), c, OpSend, canaryBody()), Retryable, CodeStatus)
	if _, err := send(t.Context(), c, canaryBody()); err != nil {
		t.Errorf("the repeat: %v", err)
	}
}

// The token endpoint's other answers: the OAuth error decides where the status
// does not.
func TestTokenStatusesWithAnError(t *testing.T) {
	for _, tc := range []struct {
		status int
		code   string
		want   Kind
	}{
		{400, "invalid_client", Credentials}, {400, "server_error", Retryable}, {400, "temporarily_unavailable", Retryable},
		{401, "invalid_client", Credentials}, {501, "server_error", Retryable}, {503, "invalid_client", Retryable},
	} {
		if got := judgeTokenStatus(tc.status, tc.code); got != tc.want {
			t.Errorf("%d %s: got %s, want %s", tc.status, tc.code, got, tc.want)
		}
	}
	s := &TokenSource{cfg: TokenConfig{ClientID: "client-1", Now: time.Now}}
	_, e := s.judge("k1", &http.Response{StatusCode: 407, Header: http.Header{}}, json.RawMessage(""), nil, time.Now())
	if e.Kind != Retryable || e.Code != CodeStatus || e.Hint() == "" {
		t.Errorf("a proxy without credentials: %v", e)
	}
}

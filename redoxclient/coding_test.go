package redoxclient

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(body))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func deflated(body []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	must(w.Write(body))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// answering answers with a coded body, whatever was asked for.
func answering(t *testing.T, status int, coding string, body []byte) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Encoding", coding)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

// A proxy that codes an answer nobody asked to be coded changes nothing of what
// the answer says.
func TestCodedAnswers(t *testing.T) {
	for coding, code := range map[string]func([]byte) []byte{
		"gzip": gzipped, "GZIP": gzipped, "x-gzip": gzipped, " gzip ": gzipped, "deflate": deflated,
		"identity": func(b []byte) []byte { return b },
	} {
		t.Run(coding, func(t *testing.T) {
			c := newClient(t, answering(t, 200, coding, code([]byte(`{"Meta":{"Logs":[{"ID":"log-1"}]}}`))))
			receipt, err := c.SendDataModel(t.Context(), DataModelRequest{Body: canaryBody()})
			if err != nil || !slices.Equal(receipt.LogIDs, []string{"log-1"}) {
				t.Errorf("got %+v, %v", receipt, err)
			}
			c = newClient(t, answering(t, 201, coding, code([]byte(`{"URI":"`+blobURL+`"}`))))
			if up, err := uploadBlob(t.Context(), c, canaryBody()); err != nil || up.URL != blobURL {
				t.Errorf("got %+v, %v", up, err)
			}
			const refusal = `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}`
			c = newClient(t, answering(t, 422, coding, code([]byte(refusal))))
			e := wantError(t, callOp(t.Context(), c, OpSend, canaryBody()), Permanent, CodeStatus)
			if !slices.Equal(e.IssueCodes, []string{"not-found"}) {
				t.Errorf("issues %v", e.IssueCodes)
			}
			c = newClient(t, answering(t, 200, coding, nil))
			if _, err := send(t.Context(), c, canaryBody()); err != nil {
				t.Errorf("an empty body: %v", err)
			}
		})
	}
}

// What cannot be decoded, and what is too long once it is, leaves the outcome of
// a message open; a small body must not become a large one in memory.
func TestCodedAnswersThatCannotBeRead(t *testing.T) {
	bomb := gzipped(bytes.Repeat([]byte(" "), 50<<20))
	cut := gzipped([]byte(`{"a":"` + strings.Repeat("x", 100) + `"}`))
	wrong := bytes.Clone(cut)
	wrong[len(wrong)-5]++
	for name, tc := range map[string]struct {
		coding string
		body   []byte
		code   string
	}{
		"bomb":                  {"gzip", bomb, CodeAnswerTooLarge},
		"members without end":   {"gzip", bytes.Repeat(gzipped(nil), 200_000), CodeAnswerTooLarge},
		"cut":                   {"gzip", cut[:len(cut)-12], CodeAnswerCut},
		"cut in the head":       {"gzip", cut[:5], CodeAnswerCut},
		"a checksum that fails": {"gzip", wrong, CodeAnswerUnreadable},
		"not coded":             {"gzip", []byte(`{"CANARY":"CANARY"}`), CodeAnswerUnreadable},
		"not deflated":          {"deflate", []byte(`{"CANARY":"CANARY"}`), CodeAnswerUnreadable},
		"not known":             {"br", []byte("CANARY"), CodeAnswerUnreadable},
		"coded twice":           {"gzip, gzip", gzipped(gzipped([]byte("{}"))), CodeAnswerUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, answering(t, 200, tc.coding, tc.body))
			e := wantError(t, callOp(t.Context(), c, OpSend, canaryBody()), UnknownOutcome, tc.code)
			if e.Length > DefaultAnswerLimit {
				t.Errorf("%d bytes were kept", e.Length)
			}
			noCanary(t, e)
			wantError(t, callOp(t.Context(), c, OpUploadBlob, canaryBody()), Retryable, tc.code)
		})
	}
}

func TestCodedToken(t *testing.T) {
	for coding, code := range map[string]func([]byte) []byte{"gzip": gzipped, "deflate": deflated} {
		body := code([]byte(`{"access_token":"t","expires_in":300}`))
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {coding}}}
		got, err := readAnswer(resp.Header, bytes.NewReader(body), tokenAnswerLimit)
		if err != nil || !bytes.HasPrefix(got, []byte(`{"access_token"`)) {
			t.Errorf("%s: %q, %v", coding, got, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		server.gzip = true
		wantToken(t, s, "token-1")
	})
	if _, err := readAnswer(http.Header{"Content-Encoding": {"gzip"}}, bytes.NewReader(gzipped(make([]byte, tokenAnswerLimit+1))), tokenAnswerLimit); !errors.Is(err, errTooLong) {
		t.Errorf("got %v", err)
	}
}

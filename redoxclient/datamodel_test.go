package redoxclient

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestDataModelRequest(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != "/base/endpoint" || r.URL.RawQuery != "" || string(body) != `{"Meta":{}}` {
			t.Errorf("%s %s, %d bytes", r.Method, r.URL, len(body))
		}
		if r.ContentLength != int64(len(body)) || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("Authorization") != "Bearer t1-CANARYTOKEN" || len(r.Header["Redox-Source-Id"]) > 0 || r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("%d bytes, %v", r.ContentLength, r.Header)
		}
		w.Header().Set("Redox-Trace-Id", "trace-1")
		_, _ = io.WriteString(w, `{"Meta":{"DataModel":"Notes","Logs":[{"ID":"d9f5d293-7110-461e-a875-3beb089e79f3","AttemptID":"925d1617-2fe0-468c-a14c-f8c04b572c54"},{"ID":77,"AttemptID":78}]}}`)
	})
	c := newClient(t, url+"/base", func(cfg *Config) { cfg.BlobURL = "" })
	receipt, err := c.SendDataModel(t.Context(), DataModelRequest{Body: Bytes([]byte(`{"Meta":{}}`))})
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Status != 200 || receipt.TraceID != "trace-1" || !slices.Equal(receipt.LogIDs, []string{"d9f5d293-7110-461e-a875-3beb089e79f3", "77"}) {
		t.Errorf("got %+v", receipt)
	}
	for name, body := range map[string]Body{"no open": {Size: 1}, "no size": {Open: canaryBody().Open}} {
		t.Run(name, func(t *testing.T) {
			wantError(t, callOp(t.Context(), c, OpSendDataModel, body), Permanent, CodeInvalidRequest)
		})
	}
}

// What Redox writes about a failure may quote the message; its errors' IDs may
// be told.
func TestErrorsOfTheDataModel(t *testing.T) {
	const id = "925d1617-2fe0-468c-a14c-f8c04b572c54"
	cases := map[string]struct {
		body string
		ids  []string
	}{
		"uuid":   {`{"Meta":{"Errors":[{"ID":"` + id + `","Text":"CANARY","Type":"CANARY","Module":"CANARY"}]}}`, []string{id}},
		"number": {`{"Meta":{"Errors":[{"ID":4711},{"ID":"0815"}]}}`, []string{"4711", "0815"}},
		"text":   {`{"Meta":{"Errors":[{"ID":"CANARY"},{"ID":"CANARY-1"},{"ID":-5},{"ID":1.5},{"ID":["CANARY"]},"CANARY",{}]}}`, nil},
		"long":   {`{"Meta":{"Errors":[{"ID":` + strings.Repeat("9", 21) + `}]}}`, nil},
		"braces": {`{"Meta":{"Errors":[{"ID":"{` + id + `}"},{"ID":"urn:uuid:` + id + `"}]}}`, nil},
		"many":   {`{"Meta":{"Errors":[` + strings.Repeat(`{"ID":1},`, 99) + `{}]}}`, slices.Repeat([]string{"1"}, 8)},
		"object": {`{"Meta":{"Errors":{"ID":"CANARY"}}}`, nil},
		"detail": {`{"errorDetail":"CANARY"}`, nil},
	}
	var body atomic.Value
	var status atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, body.Load().(string))
	})
	c := newClient(t, url)
	for name, tc := range cases {
		for code, want := range map[int64]string{200: CodeRefused, 400: CodeStatus} {
			t.Run(name, func(t *testing.T) {
				body.Store(tc.body)
				status.Store(code)
				e := wantError(t, callOp(t.Context(), c, OpSendDataModel, canaryBody()), Permanent, want)
				if !slices.Equal(e.ErrorIDs, tc.ids) || e.Op != OpSendDataModel {
					t.Errorf("got %+v", e)
				}
				if strings.Contains(e.Error(), "error ids") != (tc.ids != nil) {
					t.Errorf("text: %v", e)
				}
			})
		}
	}
}

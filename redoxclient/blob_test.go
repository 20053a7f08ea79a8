package redoxclient

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// onePart reads a form that must hold exactly one part.
func onePart(t *testing.T, contentType string, body io.Reader) (*multipart.Part, []byte) {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" {
		t.Fatalf("media type %q, %v", media, err)
	}
	form := multipart.NewReader(body, params["boundary"])
	part, err := form.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := form.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the part: %v", err)
	}
	return part, data
}

func TestBlobRequest(t *testing.T) {
	boundaries := map[string]bool{}
	refuse := true
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/base/upload" || len(r.TransferEncoding) > 0 || r.Header.Get("Redox-source-Id") != testSource {
			t.Errorf("%s %s %v %v", r.Method, r.URL, r.TransferEncoding, r.Header)
		}
		var whole bytes.Buffer
		part, data := onePart(t, r.Header.Get("Content-Type"), io.TeeReader(r.Body, &whole))
		_, _ = io.Copy(&whole, r.Body)
		if part.FormName() != "file" || part.FileName() != "CANARY name.pdf" || part.Header.Get("Content-Type") != "application/pdf" ||
			len(part.Header) != 2 || string(data) != "a file\r\n--" {
			t.Errorf("part %v, %q", part.Header, data)
		}
		if r.ContentLength != int64(whole.Len()) {
			t.Errorf("announced %d bytes, came %d", r.ContentLength, whole.Len())
		}
		boundaries[r.Header.Get("Content-Type")] = true
		if refuse {
			refuse = false
			w.WriteHeader(401)
			return
		}
		w.Header().Set("Redox-Trace-Id", "trace-1")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"URI":"`+blobURL+`"}`)
	})
	c := newClient(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.BlobURL = server + "/base/" })
	for range 2 {
		up, err := uploadBlob(t.Context(), c, Bytes([]byte("a file\r\n--")))
		if err != nil || *up != (Upload{URL: blobURL, Status: 201, TraceID: "trace-1"}) {
			t.Fatal(up, err)
		}
	}
	if len(boundaries) != 2 {
		t.Errorf("%d boundaries in 2 calls", len(boundaries))
	}
}

func TestBlobAnswers(t *testing.T) {
	cases := map[string]struct {
		status       int
		header, body string
		want, code   string
		kind         Kind
	}{
		"documented":        {body: `{"URI":"` + blobURL + `"}`, want: blobURL},
		"200":               {status: 200, body: `{"URI":"` + blobURL + `"}`, want: blobURL},
		"more members":      {body: `{"a":[],"URI":"` + blobURL + `","Meta":{}}`, want: blobURL},
		"lower case":        {body: `{"uri":"` + blobURL + `"}`, want: blobURL},
		"both":              {body: `{"uri":5,"URI":"` + blobURL + `"}`, want: blobURL},
		"header":            {header: blobURL, body: "{}", want: blobURL},
		"header, no body":   {header: blobURL, want: blobURL},
		"header, html":      {header: blobURL, body: "<html>CANARY", want: blobURL},
		"header, bad URI":   {header: blobURL, body: `{"URI":{"CANARY":1}}`, want: blobURL},
		"body wins":         {header: "https://evil.example/CANARY", body: `{"URI":"` + blobURL + `"}`, want: blobURL},
		"body wins, wrong":  {header: blobURL, body: `{"URI":"https://CANARY.example/a"}`, code: CodeBlobURL, kind: Permanent},
		"none":              {body: `{"CANARY":1}`, code: CodeNoLocation, kind: Permanent},
		"meta errors":       {body: `{"Meta":{"Errors":[{"Text":"CANARY"}]}}`, code: CodeRefused, kind: Permanent},
		"error detail":      {body: `{"errorDetail":"CANARY"}`, code: CodeRefused, kind: Permanent},
		"empty":             {code: CodeAnswerUnreadable, kind: Retryable},
		"html":              {body: "<html>CANARY", code: CodeAnswerUnreadable, kind: Retryable},
		"text":              {body: blobURL, code: CodeAnswerUnreadable, kind: Retryable},
		"array":             {body: `["` + blobURL + `"]`, code: CodeAnswerUnreadable, kind: Retryable},
		"http":              {body: `{"URI":"http://blob.redoxengine.com/CANARY"}`, code: CodeBlobURL, kind: Permanent},
		"foreign":           {body: `{"URI":"https://blob.redoxengine.com.CANARY.example/a"}`, code: CodeBlobURL, kind: Permanent},
		"user":              {body: `{"URI":"https://CANARY@blob.redoxengine.com/a"}`, code: CodeBlobURL, kind: Permanent},
		"newline":           {body: `{"URI":"https://blob.redoxengine.com/a\nCANARY"}`, code: CodeBlobURL, kind: Permanent},
		"number":            {body: `{"URI":5}`, code: CodeBlobURL, kind: Permanent},
		"foreign in header": {header: "https://CANARY.example/a", body: "{}", code: CodeBlobURL, kind: Permanent},
		"too long":          {header: blobURL, body: `{"URI":"` + blobURL + `"}` + strings.Repeat(" ", 5000), code: CodeAnswerTooLarge, kind: Retryable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if tc.header != "" {
					w.Header().Set("Location", tc.header)
				}
				w.WriteHeader(cmp.Or(tc.status, 201))
				_, _ = io.WriteString(w, tc.body)
			})
			up, err := uploadBlob(t.Context(), newClient(t, url, func(cfg *Config) { cfg.AnswerLimit = 4000 }), canaryBody())
			if tc.kind != "" {
				wantError(t, err, tc.kind, tc.code)
				return
			}
			if err != nil || up.URL != tc.want {
				t.Fatalf("got %+v, %v", up, err)
			}
		})
	}
}

func TestInvalidBlobRequests(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	bad := map[string]func(*BlobRequest){
		"source":       func(r *BlobRequest) { r.SourceID = "CANARY" },
		"no name":      func(r *BlobRequest) { r.FileName = "" },
		"long name":    func(r *BlobRequest) { r.FileName = strings.Repeat("CANARY", 200) },
		"content type": func(r *BlobRequest) { r.ContentType = "text/plain\r\nCANARY: 1" },
		"no type":      func(r *BlobRequest) { r.ContentType = "" },
		"no open":      func(r *BlobRequest) { r.Body.Open = nil },
		"no size":      func(r *BlobRequest) { r.Body.Size = 0 },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			r := BlobRequest{FileName: "CANARY.pdf", ContentType: "application/pdf", Body: canaryBody()}
			change(&r)
			_, err := c.UploadBlob(t.Context(), r)
			if e := wantError(t, err, Permanent, CodeInvalidRequest); e.Where != BeforeSending || e.Op != OpUploadBlob {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// Files meant for another place must not go to the US by an omission.
func TestBlobURLHasNoDefaultOfItsOwn(t *testing.T) {
	for api, want := range map[string]string{"": DefaultBlobURL, DefaultAPIURL: DefaultBlobURL, "https://api.ca.redoxengine.com": "", "http://127.0.0.1:1": ""} {
		c := newClient(t, api, func(cfg *Config) { cfg.BlobURL = "" })
		if c.cfg.BlobURL != want {
			t.Errorf("%q: got %q", api, c.cfg.BlobURL)
		}
		if want == "" {
			_, err := uploadBlob(t.Context(), c, canaryBody())
			wantError(t, err, Permanent, CodeInvalidRequest)
		}
	}
}

func TestExpectForLargeForms(t *testing.T) {
	var expect atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		expect.Store(r.Header.Get("Expect"))
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", blobURL)
	})
	c := newClient(t, url)
	for size, want := range map[int64]string{expectAbove - 1000: "", expectAbove: "100-continue"} {
		if _, err := uploadBlob(t.Context(), c, zeros(size)); err != nil || expect.Load() != want {
			t.Errorf("%d bytes: Expect %q, %v", size, expect.Load(), err)
		}
	}
}

// A form's end must not follow a file that is not the one announced, even if
// the form as a whole has the right length.
func TestFormEndsOnlyAfterTheFile(t *testing.T) {
	f := newForm("b", "n", "a/b")
	for gives, want := range map[int64]*SizeError{9: {10, 9}, 11: {10, 11}, 30: {10, 11}, 10: nil} {
		body := f.around(Body{Size: 10, Open: zeros(gives).Open})
		src, err := body.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(src)
		got, ok := errors.AsType[*SizeError](err)
		if ok != (want != nil) || ok && *got != *want {
			t.Errorf("%d bytes: got %v", gives, err)
		}
		if whole := bytes.HasSuffix(text, []byte(f.tail)); whole != (want == nil) || whole && int64(len(text)) != body.Size {
			t.Errorf("%d bytes: the form is %q", gives, text)
		}
	}
}

func TestFileNames(t *testing.T) {
	names := map[string]string{
		"a.pdf":                    "a.pdf",
		"two words (1) & 'more'; ": "two words (1) & 'more'; ",
		"Müller.pdf":               "M%C3%BCller.pdf",
		"検査.pdf":                   "%E6%A4%9C%E6%9F%BB.pdf",
		"50%.pdf":                  "50%25.pdf",
		"a%2fb":                    "a%252fb",
		`a"; filename="b`:          "a%22; filename=%22b",
		`a\"b`:                     "a%5C%22b",
		"a\r\nX-Evil: 1":           "a%0D%0AX-Evil: 1",
		"../../etc/passwd":         "..%2F..%2Fetc%2Fpasswd",
		"a\x00b\x7f\xff":           "a%00b%7F%FF",
	}
	for name, want := range names {
		if got := escapeFileName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add("a.pdf", "application/pdf", []byte("data"))
	f.Add("a\r\n\r\n--b--\"", "text/plain; charset=\"a b\"", []byte("\r\n--b--\r\n"))
	f.Add(`\"%22検`, "a/b; x=\"\\\"\"", []byte("--b\r\n"))
	f.Fuzz(func(t *testing.T, name, contentType string, data []byte) {
		if name == "" || !checkContentType(contentType) {
			return
		}
		const boundary = "0123456789ABCDEFGHIJKLMNOP"
		if bytes.Contains(data, []byte(boundary)) {
			return
		}
		form := newForm(boundary, name, contentType)
		body := form.around(Body{Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		}})
		src, err := body.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var whole bytes.Buffer
		part, got := onePart(t, form.contentType(), io.TeeReader(src, &whole))
		if _, err := io.Copy(&whole, src); err != nil || int64(whole.Len()) != body.Size {
			t.Errorf("%d bytes, %v; announced %d", whole.Len(), err, body.Size)
		}
		if !bytes.Equal(got, data) || part.FormName() != "file" || len(part.Header) != 2 {
			t.Errorf("part %v, %q", part.Header, got)
		}
		if back, err := url.PathUnescape(part.FileName()); err != nil || back != name {
			t.Errorf("name %q came back as %q, %v", name, back, err)
		}
		if typed := part.Header.Get("Content-Type"); strings.TrimSpace(typed) != strings.TrimSpace(contentType) {
			t.Errorf("type %q came back as %q", contentType, typed)
		}
		if strings.ContainsFunc(fmt.Sprint(part.Header), func(r rune) bool { return r >= 0x7f }) {
			t.Errorf("header %q", part.Header)
		}
	})
}

package redoxclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
)

// source reads data, then ends with err.
type source struct {
	io.Reader
	err    error
	closed *atomic.Int64
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		return n, s.err
	}
	return n, err
}

func (s source) Close() error { s.closed.Add(1); return nil }

var errSource = errors.New("CANARY s3 key")

func TestSourceFaults(t *testing.T) {
	cases := map[string]struct {
		size, gives int64
		end         error
		code        string
	}{
		"short":             {size: 100, gives: 99, end: io.EOF, code: CodeSourceSize},
		"long":              {size: 100, gives: 101, end: io.EOF, code: CodeSourceSize},
		"short and large":   {size: large, gives: large - 1, end: io.EOF, code: CodeSourceSize},
		"long and large":    {size: 1 << 20, gives: 2 << 20, end: io.EOF, code: CodeSourceSize},
		"empty":             {size: 100, end: io.EOF, code: CodeSourceSize},
		"broken":            {size: 100, gives: 50, end: errSource, code: CodeSource},
		"broken checksum":   {size: 100, gives: 100, end: errSource, code: CodeSource},
		"unexpected end":    {size: 100, gives: 50, end: io.ErrUnexpectedEOF, code: CodeSource},
		"exact":             {size: 100, gives: 100, end: io.EOF},
		"exact and large":   {size: 3 << 20, gives: 3 << 20, end: io.EOF},
		"exact to a buffer": {size: 32 << 10, gives: 32 << 10, end: io.EOF},
	}
	var whole atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n == r.ContentLength {
			whole.Add(1)
		}
		w.Header().Set("Location", blobURL)
	})
	for name, tc := range cases {
		for _, op := range allOps {
			t.Run(name+" "+string(op), func(t *testing.T) {
				var closed atomic.Int64
				before := whole.Load()
				body := Body{Size: tc.size, Open: func(context.Context) (io.ReadCloser, error) {
					return source{io.LimitReader(zeroReader{}, tc.gives), tc.end, &closed}, nil
				}}
				err := callOp(t.Context(), newClient(t, url), op, body)
				if closed.Load() != 1 {
					t.Errorf("closed %d times", closed.Load())
				}
				if tc.code == "" {
					if err != nil || whole.Load() != before+1 {
						t.Fatal(err)
					}
					return
				}
				e := wantError(t, err, Retryable, tc.code)
				if size, ok := errors.AsType[*SizeError](err); ok != (tc.code == CodeSourceSize) || ok && size.Announced != tc.size {
					t.Errorf("cause: %v", e.Unwrap())
				}
				if tc.end == errSource && !errors.Is(err, errSource) {
					t.Error("the source's error cannot be reached")
				}
				if whole.Load() != before {
					t.Error("the server saw a whole request")
				}
			})
		}
	}
	for _, fault := range []error{errSource, nil} {
		for _, op := range allOps {
			t.Run("open fails "+string(op), func(t *testing.T) {
				body := Body{Size: 1, Open: func(context.Context) (io.ReadCloser, error) { return nil, fault }}
				err := callOp(t.Context(), newClient(t, url), op, body)
				if e := wantError(t, err, Retryable, CodeSource); e.Where != BeforeSending || fault != nil && !errors.Is(err, fault) {
					t.Errorf("got %v", e)
				}
			})
		}
	}
}

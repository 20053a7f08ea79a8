package redoxclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// trap is a source with a defect: it panics after so many bytes, with a value
// that may be anything.
type trap struct {
	left  int
	value any
}

func (r *trap) Read(p []byte) (int, error) {
	if r.left == 0 {
		panic(r.value)
	}
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}

func (*trap) Close() error { return nil }

// TestAPanicOfTheSource: the transport reads a body in a goroutine of its own,
// where a panic would end the process and print its value. It comes to the caller
// instead, as a value that shows nothing of the first.
func TestAPanicOfTheSource(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	c := newClient(t, s.URL)
	for name, value := range map[string]any{"text": "CANARY", "error": errors.New("CANARY"), "Stringer": fmt.Stringer(canaryText{})} {
		for _, after := range []int{0, 1, 9, 10} {
			for _, op := range allOps {
				t.Run(fmt.Sprint(name, " ", after, " ", op), func(t *testing.T) {
					raised := func() (v any) {
						defer func() { v = recover() }()
						err := callOp(t.Context(), c, op, Body{Size: 10, Open: func(context.Context) (io.ReadCloser, error) { return &trap{after, value}, nil }})
						t.Errorf("no panic: %v", err)
						return nil
					}()
					p, ok := raised.(*SourcePanic)
					if !ok || p.Type() != fmt.Sprintf("%T", value) || !strings.Contains(p.Stack(), "panic_test.go") {
						t.Fatalf("%T %v", raised, ok)
					}
					for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
						if text := fmt.Sprintf(verb, raised); strings.Contains(text, "CANARY") {
							t.Errorf("%s: %s", verb, text)
						}
					}
				})
			}
		}
	}
	if _, err := send(t.Context(), c, canaryBody()); err != nil {
		t.Errorf("the client is of no use any more: %v", err)
	}
}

type canaryText struct{}

func (canaryText) String() string { return "CANARY" }

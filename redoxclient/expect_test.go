package redoxclient

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// countedThrottle lets everything through.
type countedThrottle struct{ takes, heard atomic.Int64 }

func (c *countedThrottle) Take(context.Context) error { c.takes.Add(1); return nil }
func (c *countedThrottle) Sent(time.Duration)         {}
func (c *countedThrottle) Heard(LimitSaid) Ruling     { c.heard.Add(1); return Ruling{} }

// TestExpectationIsRefused tells by the statuses, in order, what the servers
// answered: a 417 costs one more request without "Expect", and no other is ever
// repeated for it.
func TestExpectationIsRefused(t *testing.T) {
	const big = expectAbove + 1
	// A proxy that knows no expectation, and one that takes nothing.
	proxy := func(_ int, expects bool) int {
		if expects {
			return http.StatusExpectationFailed
		}
		return http.StatusCreated
	}
	always := func(int, bool) int { return http.StatusExpectationFailed }
	cases := map[string]struct {
		size   int64
		answer func(n int, expects bool) int
		reads  bool // the body is read though it need not be
		ops    []Op
		want   []int
		kind   Kind // "" is success
	}{
		"once":      {size: big, answer: proxy, ops: allOps, want: []int{417, 201}},
		"for ever":  {size: big, answer: always, ops: allOps, want: []int{417, 417}, kind: Permanent},
		"unasked":   {size: 10, answer: always, ops: allOps, want: []int{417}, kind: Permanent},
		"sent":      {size: big, answer: always, reads: true, ops: sends, want: []int{417}, kind: Permanent},
		"file sent": {size: big, answer: always, reads: true, ops: uploads, want: []int{417, 417}, kind: Permanent},
		"then a new token": {size: big, answer: func(n int, _ bool) int {
			return []int{417, 401, 201}[n]
		}, ops: allOps, want: []int{417, 401, 201}},
		"after a new token": {size: big, answer: func(n int, _ bool) int {
			return []int{401, 417, 201}[n]
		}, ops: allOps, want: []int{401, 417, 201}},
		"between two refusals": {size: big, answer: func(n int, _ bool) int {
			return []int{401, 417, 401}[n]
		}, ops: allOps, want: []int{401, 417, 401}, kind: Credentials},
	}
	for name, tc := range cases {
		for _, op := range tc.ops {
			t.Run(name+" "+string(op), func(t *testing.T) {
				var mu sync.Mutex
				var statuses []int
				url := serve(t, func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					expects := r.Header.Get("Expect") != ""
					status := tc.answer(len(statuses), expects)
					statuses = append(statuses, status)
					if tc.reads || !expects {
						if n, err := io.Copy(io.Discard, r.Body); err != nil || n < tc.size {
							t.Errorf("read %d bytes, %v", n, err)
						}
					}
					w.Header().Set("Location", blobURL)
					w.WriteHeader(status)
				})
				throttle := &countedThrottle{}
				var told []int
				c := newClient(t, url, func(cfg *Config) {
					cfg.Timeouts.Continue = time.Minute
					cfg.Throttle = throttle
					cfg.Observe = func(_ Op, status int, _ time.Duration) { told = append(told, status) }
				})
				err := callOp(t.Context(), c, op, zeros(tc.size))
				switch tc.kind {
				case "":
					if err != nil {
						t.Error(err)
					}
				case Credentials:
					wantError(t, err, Credentials, CodeUnauthorized)
				default:
					if e := wantError(t, err, tc.kind, CodeStatus); e.Status != http.StatusExpectationFailed {
						t.Errorf("status %d", e.Status)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(statuses, tc.want) || !slices.Equal(told, tc.want) {
					t.Errorf("answered %v, told %v, want %v", statuses, told, tc.want)
				}
				if takes, heard := throttle.takes.Load(), throttle.heard.Load(); takes != int64(len(tc.want)-1) || heard != int64(len(tc.want)) {
					t.Errorf("the throttle: %d asked, %d told", takes, heard)
				}
			})
		}
	}
}

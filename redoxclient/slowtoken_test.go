package redoxclient

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestASlowTokenEndpoint holds up the first request only: a token is renewed
// before its end, and the old one is used meanwhile.
func TestASlowTokenEndpoint(t *testing.T) {
	for _, c := range []struct {
		life, delay time.Duration
		answer      string
	}{
		{300 * time.Second, 20 * time.Second, `{"access_token":"token","expires_in":300}`},
		{8 * time.Second, 1200 * time.Millisecond, `{"access_token":"token","expires_in":8}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			tokens, server, _, _ := newTokens(t)
			server.delay = c.delay
			server.set(func(int) (int, string) { return 200, c.answer })
			if _, err := tokens.TokenContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); time.Since(began) < 10*c.life; time.Sleep(50 * time.Millisecond) {
				asked := time.Now()
				if _, err := tokens.TokenContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(asked); waited > 0 {
					t.Fatalf("a request waited %s for a token that lives %s, %s after the first", waited, c.life, asked.Sub(began))
				}
			}
			synctest.Wait()
			time.Sleep(c.delay)
		})
	}
}

package redoxclient_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/redoxclient"
)

// A server that takes no iat of the future gives a token to a worker whose clock
// differs within what the assertion allows, and to no other.
func TestClocksThatDiffer(t *testing.T) {
	keys, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	sim, err := redoxsim.New(redoxsim.Config{
		Clients: []redoxsim.Client{keys.Client}, StrictClock: true, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(sim)
	t.Cleanup(func() { web.CloseClientConnections(); web.Close(); _ = sim.Close() })
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, keys.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for ahead, taken := range map[time.Duration]bool{
		0: true, time.Second: true, 30 * time.Second: true, 60 * time.Second: true, 61 * time.Second: false,
		-time.Second: true, -179 * time.Second: true, -180 * time.Second: false,
	} {
		tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
			ClientID: keys.ClientID, KeyFile: file, KeyID: keys.KeyID, TokenURL: web.URL + "/v2/auth/token",
			Now: func() time.Time { return now.Add(ahead) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Token(); (err == nil) != taken {
			t.Errorf("a worker ahead by %s: %v", ahead, err)
		}
	}
}

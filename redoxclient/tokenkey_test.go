package redoxclient

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// writeKey replaces the file as a secret mount does: by a new one.
func writeKey(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestNewKeyEndsRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, path, _ := newTokens(t)
		server.set(func(int) (int, string) { return 401, `{"error":"invalid_client"}` })
		if _, err := s.Token(); err == nil {
			t.Fatal("no error")
		}
		server.set(nil)
		if _, err := s.Token(); err == nil {
			t.Fatal("the refusal was not shared")
		}
		writeKey(t, path, jwk(ecKey(), "k1"))
		wantToken(t, s, "token-2")
	})
}

// A file that cannot be used ends the pause once, as every new file does, and
// is told once; what is mended in it ends it again.
func TestUnusableKeyKeepsThePause(t *testing.T) {
	files := map[string]func(t *testing.T, path string){
		"no key":    func(t *testing.T, path string) { writeKey(t, path, []byte("CANARY not a key")) },
		"weak":      func(t *testing.T, path string) { writeKey(t, path, pkcs8(weakKey())) },
		"too large": func(t *testing.T, path string) { writeKey(t, path, make([]byte, maxKeyFile+1)) },
	}
	for name, spoil := range files {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, server, path, bad := newTokens(t)
				server.set(func(int) (int, string) { return 401, `{"error":"invalid_client"}` })
				fetches := func(want, told int) {
					t.Helper()
					for range 50 {
						_, err := s.Token()
						wantError(t, err, Credentials, CodeTokenRefused)
					}
					if n := server.fetches(); n != want || len(bad.got) != told {
						t.Fatalf("%d fetches, told %v; want %d and %d", n, bad.got, want, told)
					}
				}
				fetches(1, 0)
				spoil(t, path)
				fetches(2, 1)
				time.Sleep(shareRefusal)
				fetches(3, 1)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				fetches(3, 1)
				time.Sleep(shareRefusal)
				fetches(4, 2)
				time.Sleep(shareRefusal)
				fetches(5, 2)
				writeKey(t, path, []byte("CANARY again"))
				fetches(6, 3)
				writeKey(t, path, []byte("CANARY once more")) // the same fault of another file
				fetches(7, 4)
				server.set(nil)
				writeKey(t, path, jwk(ecKey(), "k1"))
				wantToken(t, s, "token-8")
			})
		})
	}
}

func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, path, bad := newTokens(t)
		wantToken(t, s, "token-1")

		writeKey(t, path, []byte("CANARY not a key"))
		s.Invalidate("token-1")
		wantToken(t, s, "token-2") // with the old key
		if len(bad.got) != 1 {
			t.Fatalf("reported %v", bad.got)
		}
		noCanary(t, bad.got[0])

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		s.Invalidate("token-2")
		wantToken(t, s, "token-3")
		if len(bad.got) != 2 || !errors.Is(bad.got[1], os.ErrNotExist) {
			t.Fatalf("reported %v", bad.got)
		}

		writeKey(t, path, pkcs8(rsaKey()))
		server.public["k1"] = rsaKey().Public() // the old key would no longer verify
		s.Invalidate("token-3")
		wantToken(t, s, "token-4")
	})
}

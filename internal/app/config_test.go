package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sound are settings without a fault.
func sound(t *testing.T) (Settings, Streams) {
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return Settings{
			NATS: NATS{URL: "nats://a:4222, tls://b:4222", Prefix: "chartpost"},
			S3:   S3{Endpoint: "http://127.0.0.1:9000", Buckets: []string{"a", "b/c/"}},
			Redox: Redox{Environment: "Staging", APIURL: "https://api.example.org", TokenURL: "http://localhost:1/token", BlobURL: "https://blob.example.org", ClientID: "c", KeyFile: key,
				SourceID: "0f8fad5b-d9cb-469f-a165-70867728950e"},
			Delivery: Delivery{Concurrency: 1, LaneConcurrency: 1, EmbedLimit: 0, FileLimit: 1, RetryFirst: time.Second, RetryLongest: time.Second,
				Lease: 3 * time.Second, Stall: time.Second, AnswerTimeout: time.Second},
			Budget: Budget{Requests: 7500, Window: 5 * time.Minute, Scope: "a", Reserve: 0.2},
		}, Streams{
			Replicas: 3, EventsAge: time.Hour, DeadAge: time.Hour, AuditAge: time.Hour, LedgerAge: time.Hour, LedgerOpenAge: time.Hour, Duplicates: 2 * time.Minute, Lanes: 1,
		}
}

func TestSoundSettings(t *testing.T) {
	settings, streams := sound(t)
	if err := settings.Check(); err != nil {
		t.Error(err)
	}
	if err := streams.Check(); err != nil {
		t.Error(err)
	}
}

// A key that everybody may open is told of by its flag, and is no fault.
func TestExposed(t *testing.T) {
	settings, _ := sound(t)
	for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o440: false, 0o660: false, 0o644: true, 0o604: true, 0o602: true} {
		if err := os.Chmod(settings.Redox.KeyFile, mode); err != nil {
			t.Fatal(err)
		}
		err := settings.Redox.Exposed()
		if (err != nil) != exposed || exposed && !strings.HasPrefix(err.Error(), "--redox-key-file (CHARTPOST_REDOX_KEY_FILE): ") {
			t.Errorf("%04o: got %v", mode, err)
		}
		if err := settings.Redox.Check(); err != nil {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	settings.Redox.KeyFile += ".none"
	if err := settings.Redox.Exposed(); err != nil {
		t.Error(err)
	}
}

// Every fault is found alone, and names its flag and its variable first.
func TestFaults(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct {
		flag  string
		spoil func(*Settings, *Streams)
	}{
		"requests":         {"budget-requests", func(s *Settings, _ *Streams) { s.Budget.Requests = -1 }},
		"window":           {"budget-window", func(s *Settings, _ *Streams) { s.Budget.Window = time.Second }},
		"scope":            {"budget-scope", func(s *Settings, _ *Streams) { s.Budget.Scope = "" }},
		"reserve":          {"budget-reserve", func(s *Settings, _ *Streams) { s.Budget.Reserve = 1 }},
		"most":             {"budget-most", func(s *Settings, _ *Streams) { s.Budget.Most = -1 }},
		"no port":          {"http-addr", func(s *Settings, _ *Streams) { s.HTTP.Addr = "127.0.0.1" }},
		"empty port":       {"http-addr", func(s *Settings, _ *Streams) { s.HTTP.Addr = "127.0.0.1:" }},
		"no URL":           {"nats-url", func(s *Settings, _ *Streams) { s.NATS.URL = "" }},
		"http":             {"nats-url", func(s *Settings, _ *Streams) { s.NATS.URL = "http://a" }},
		"second URL":       {"nats-url", func(s *Settings, _ *Streams) { s.NATS.URL = "nats://a,b" }},
		"password":         {"nats-url", func(s *Settings, _ *Streams) { s.NATS.URL = "nats://u:secret@a" }},
		"token":            {"nats-url", func(s *Settings, _ *Streams) { s.NATS.URL = "nats://secret@a" }},
		"prefix":           {"prefix", func(s *Settings, _ *Streams) { s.NATS.Prefix = "A.b" }},
		"creds":            {"nats-creds", func(s *Settings, _ *Streams) { s.NATS.Creds = folder + "/none" }},
		"nkey":             {"nats-nkey", func(s *Settings, _ *Streams) { s.NATS.Nkey = folder + "/none" }},
		"ca":               {"nats-tls-ca", func(s *Settings, _ *Streams) { s.NATS.TLSCA = folder + "/none" }},
		"cert without key": {"nats-tls-cert", func(s *Settings, _ *Streams) { s.NATS.TLSCrt = s.Redox.KeyFile }},
		"key without cert": {"nats-tls-cert", func(s *Settings, _ *Streams) { s.NATS.TLSKey = s.Redox.KeyFile }},
		"endpoint":         {"s3-endpoint", func(s *Settings, _ *Streams) { s.S3.Endpoint = "s3.example.org" }},
		"endpoint secret":  {"s3-endpoint", func(s *Settings, _ *Streams) { s.S3.Endpoint = "https://u:secret@s3.example.org" }},
		"bucket":           {"s3-buckets", func(s *Settings, _ *Streams) { s.S3.Buckets = []string{"/a"} }},
		"no environment":   {"redox-environment", func(s *Settings, _ *Streams) { s.Redox.Environment = "" }},
		"small letters":    {"redox-environment", func(s *Settings, _ *Streams) { s.Redox.Environment = "production" }},
		"api http":         {"redox-api-url", func(s *Settings, _ *Streams) { s.Redox.APIURL = "http://api.example.org" }},
		"api none":         {"redox-api-url", func(s *Settings, _ *Streams) { s.Redox.APIURL = "" }},
		"no blob URL":      {"redox-blob-url", func(s *Settings, _ *Streams) { s.Redox.BlobURL = "" }},
		"blob http":        {"redox-blob-url", func(s *Settings, _ *Streams) { s.Redox.BlobURL = "http://blob.example.org" }},
		"token secret":     {"redox-token-url", func(s *Settings, _ *Streams) { s.Redox.TokenURL = "https://u:secret@example.org" }},
		"no client":        {"redox-client-id", func(s *Settings, _ *Streams) { s.Redox.ClientID = "" }},
		"no key":           {"redox-key-file", func(s *Settings, _ *Streams) { s.Redox.KeyFile = "" }},
		"key missing":      {"redox-key-file", func(s *Settings, _ *Streams) { s.Redox.KeyFile = folder + "/none" }},
		"key is a folder":  {"redox-key-file", func(s *Settings, _ *Streams) { s.Redox.KeyFile = folder }},
		"redox ca":         {"redox-tls-ca", func(s *Settings, _ *Streams) { s.Redox.TLSCA = folder + "/none" }},
		"source":           {"redox-source-id", func(s *Settings, _ *Streams) { s.Redox.SourceID = "7" }},
		"concurrency":      {"concurrency", func(s *Settings, _ *Streams) { s.Delivery.Concurrency = 0 }},
		"lane concurrency": {"lane-concurrency", func(s *Settings, _ *Streams) { s.Delivery.LaneConcurrency = -1 }},
		"embed":            {"embed-limit", func(s *Settings, _ *Streams) { s.Delivery.EmbedLimit = -1 }},
		"embed over file":  {"embed-limit", func(s *Settings, _ *Streams) { s.Delivery.EmbedLimit = 2 }},
		"lease":            {"lease", func(s *Settings, _ *Streams) { s.Delivery.Lease = time.Second }},
		"retry first":      {"retry-first", func(s *Settings, _ *Streams) { s.Delivery.RetryFirst = 0 }},
		"retry order":      {"retry-first", func(s *Settings, _ *Streams) { s.Delivery.RetryFirst = time.Minute }},
		"grace":            {"grace", func(s *Settings, _ *Streams) { s.Delivery.Grace = -1 }},
		"stall":            {"stall", func(s *Settings, _ *Streams) { s.Delivery.Stall = 0 }},
		"replicas":         {"replicas", func(_ *Settings, s *Streams) { s.Replicas = 2 }},
		"events age":       {"events-age", func(_ *Settings, s *Streams) { s.EventsAge = time.Minute }},
		"dead age":         {"dead-age", func(_ *Settings, s *Streams) { s.DeadAge = 0 }},
		"audit age":        {"audit-age", func(_ *Settings, s *Streams) { s.AuditAge = 0 }},
		"ledger age":       {"ledger-age", func(_ *Settings, s *Streams) { s.LedgerAge = -1 }},
		"ledger open age":  {"ledger-open-age", func(_ *Settings, s *Streams) { s.LedgerAge = 2 * time.Hour }},
		"lanes none":       {"lanes", func(_ *Settings, s *Streams) { s.Lanes = 0 }},
		"lanes too many":   {"lanes", func(_ *Settings, s *Streams) { s.Lanes = 10_001 }},
		"dedup":            {"dedup-window", func(_ *Settings, s *Streams) { s.Duplicates = time.Minute }},
		"events bytes":     {"events-bytes", func(_ *Settings, s *Streams) { s.EventsBytes = -1 }},
	} {
		settings, streams := sound(t)
		c.spoil(&settings, &streams)
		var said []string
		for _, err := range []error{settings.Check(), streams.Check()} {
			if err != nil {
				said = append(said, err.Error())
			}
		}
		want := "--" + c.flag + " (" + EnvironmentName(c.flag) + "): "
		if text := strings.Join(said, "\n"); strings.Contains(text, "\n") || !strings.HasPrefix(text, want) || strings.Contains(text, "secret") {
			t.Errorf("%s: %q, want %s…", name, text, want)
		}
	}
}

// A person mends all faults in one go.
func TestAllFaultsAtOnce(t *testing.T) {
	err := Settings{}.Check()
	if err == nil || strings.Count(err.Error(), "\n") < 10 {
		t.Errorf("%v", err)
	}
}

func TestEnvironmentName(t *testing.T) {
	for flag, want := range map[string]string{"s3-path-style": "CHARTPOST_S3_PATH_STYLE", "prefix": "CHARTPOST_PREFIX"} {
		if got := EnvironmentName(flag); got != want {
			t.Errorf("%s: %s", flag, got)
		}
	}
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/chartpost/chartpost/internal/cli"
)

// secret is a word that stands for a secret. It is put into every place where
// one can be, and must be in nothing that is shown.
const secret = "GEHEIMNIS7"

// TestSecretsInFaultySettings gives each setting a secret that does not work and
// reads what `worker` and `check` say of it, at debug level.
func TestSecretsInFaultySettings(t *testing.T) {
	t.Parallel()
	base := world(t)
	folder := t.TempDir()
	written := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := user.Seed()
	block := "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n"
	jwk := `{"kty":"EC","crv":"P-384","kid":"k","x":"` + secret + `","y":"` + secret + `","d":"` + secret + `"}`
	creds := "-----BEGIN NATS USER JWT-----\n" + secret + "\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\nSU" + secret + "\n------END USER NKEY SEED------\n"
	cert, key := written("cert.pem", strings.ReplaceAll(block, "PRIVATE KEY", "CERTIFICATE")), written("key.pem", block)
	closed := closedServer(t)

	for name, set := range map[string][]string{
		"a password in the NATS URL":        {"CHARTPOST_NATS_URL=nats://user:" + secret + "@127.0.0.1:1"},
		"a token in the NATS URL":           {"CHARTPOST_NATS_URL=nats://" + secret + "@127.0.0.1:1"},
		"a password in a broken NATS URL":   {"CHARTPOST_NATS_URL=nats://user:" + secret + "%zz@127.0.0.1:1"},
		"credentials that are none":         {"CHARTPOST_NATS_CREDS=" + written("junk.creds", secret)},
		"credentials of no key":             {"CHARTPOST_NATS_CREDS=" + written("false.creds", creds)},
		"credentials instead of their path": {"CHARTPOST_NATS_CREDS=" + creds},
		"a seed that is none":               {"CHARTPOST_NATS_NKEY=" + written("junk.nk", "SU"+secret)},
		"a seed instead of its path":        {"CHARTPOST_NATS_NKEY=" + string(seed)},
		"a seed that is refused":            {"CHARTPOST_NATS_NKEY=" + written("seed.nk", string(seed)), "CHARTPOST_NATS_URL=" + closed},
		"a client key that is none":         {"CHARTPOST_NATS_TLS_CERT=" + cert, "CHARTPOST_NATS_TLS_KEY=" + key},
		"a Redox key that is none":          {"CHARTPOST_REDOX_KEY_FILE=" + written("junk.key", secret)},
		"a Redox key in PEM, broken":        {"CHARTPOST_REDOX_KEY_FILE=" + key},
		"a Redox key as JWK, broken":        {"CHARTPOST_REDOX_KEY_FILE=" + written("key.jwk", jwk)},
		"a Redox key instead of its path":   {"CHARTPOST_REDOX_KEY_FILE=" + block},
		"a JWK instead of its path":         {"CHARTPOST_REDOX_KEY_FILE=" + jwk},
		"a password in the API's URL":       {"CHARTPOST_REDOX_API_URL=https://user:" + secret + "@127.0.0.1:1"},
		"a query in the API's URL":          {"CHARTPOST_REDOX_API_URL=https://127.0.0.1:1/?key=" + secret},
		"a password in the token URL":       {"CHARTPOST_REDOX_TOKEN_URL=https://user:" + secret + "@127.0.0.1:1"},
		"a password in the blob URL":        {"CHARTPOST_REDOX_BLOB_URL=https://user:" + secret + "@127.0.0.1:1"},
		"a password in the S3 endpoint":     {"CHARTPOST_S3_ENDPOINT=https://user:" + secret + "@127.0.0.1:1"},
		"a password in a broken endpoint":   {"CHARTPOST_S3_ENDPOINT=https://user:" + secret + "%zz@127.0.0.1:1"},
		"a password in a collector's URL":   {"CHARTPOST_OTLP_ENDPOINT=https://user:" + secret + "@127.0.0.1:1"},
		"a password in a file, unclosed":    {"CHARTPOST_CONFIG=" + written("open.yaml", "nats:\n  url: \"nats://user:"+secret+"@127.0.0.1:1\nprefix: a\n")},
		"a password in a file, refused":     {"CHARTPOST_NATS_URL=", "CHARTPOST_CONFIG=" + written("url.yaml", "nats:\n  url: nats://user:"+secret+"@127.0.0.1:1\n")},
		"a secret of no setting in a file":  {"CHARTPOST_CONFIG=" + written("key.yaml", "redox-api-key: "+secret+"\n")},
		"a secret in the place of a map":    {"CHARTPOST_CONFIG=" + written("map.yaml", "nats: {creds: {text: "+secret+"}}\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range []string{"check", "worker"} {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, program(t), command, "--log-level", "debug")
				cmd.Env = append(append(os.Environ(), base...), set...)
				said, err := cmd.CombinedOutput()
				if err == nil || ctx.Err() != nil || len(said) < 40 {
					t.Errorf("%s: %v: %s", command, err, said)
				}
				hold(t, command, string(said), secret, string(seed))
			}
		})
	}
}

// hold fails when a text has one of the words in it.
func hold(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if i := strings.Index(text, word); i >= 0 {
			t.Errorf("%s shows a secret: …%s…", what, text[max(i-200, 0):min(i+len(word)+20, len(text))])
		}
	}
}

// closedServer lets nobody in but a user whose key nobody has.
func closedServer(t *testing.T) string {
	t.Helper()
	other, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := other.PublicKey()
	return natsFor(t, public)
}

func natsFor(t *testing.T, public string) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Nkeys: []*server.NkeyUser{{Nkey: public}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("not ready")
	}
	return s.ClientURL()
}

// TestNoFlagTakesASecret holds every flag that sounds like a secret to be the
// path of a file, or one of those that are known to be none.
func TestNoFlagTakesASecret(t *testing.T) {
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	sounds := regexp.MustCompile(`key|cred|secret|pass|token|seed|auth`)
	public := []string{"redox-key-id", "outcome-key-id", "redox-token-url", "redox-token-audience", "inventory-keys", "key"}
	files := 0
	cli.EachFlag(parser.Model.Node, func(f *kong.Flag) {
		switch {
		case !sounds.MatchString(f.Name) || slices.Contains(public, f.Name):
		case f.Tag.Type == "path":
			files++
		default:
			t.Errorf("--%s takes a secret as its value, which every user of the machine can read; name a file", f.Name)
		}
	})
	if files < 4 {
		t.Errorf("only %d flags name files of secrets", files)
	}
}

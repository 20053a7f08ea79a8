// Command prepare makes what compose.yaml needs before anything can start: an
// NKey for each role, an API key that the worker and the simulator of Redox
// share, and the settings of every role. It changes nothing that is there.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: prepare FOLDER")
		os.Exit(2)
	}
	if err := prepare(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

// complete is written last: a folder that has it has all.
const complete = "keys.conf"

func prepare(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, complete)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	redox, err := makeRedox(filepath.Join(dir, "redox"))
	if err != nil {
		return err
	}
	var public strings.Builder
	for _, role := range []string{"worker", "operator", "submitter", "watcher", "follower", "intake", "caller"} {
		key, err := makeKey(filepath.Join(dir, role+".nk"))
		if err != nil {
			return err
		}
		fmt.Fprintf(&public, "%s_nkey: %s\n", role, key)
		text := settings(filepath.Join(dir, role+".nk"), redox)
		if err := os.WriteFile(filepath.Join(dir, role+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, complete), []byte(public.String()), 0o644)
}

// makeKey writes the seed of a new NKey and gives its public half.
func makeKey(file string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	return public, os.WriteFile(file, seed, 0o600)
}

// client is the API key in the form in which `chartpost-dev redox` keeps it.
type client struct {
	ClientID string `json:"client_id"`
	KeyID    string `json:"key_id"`
	SourceID string `json:"source_id"`

	keyFile string
}

func makeRedox(dir string) (client, error) {
	made, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		return client{}, err
	}
	c := client{ClientID: made.ClientID, KeyID: made.KeyID, SourceID: made.Client.Sources[0], keyFile: filepath.Join(dir, "private-key.jwk")}
	about, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return client{}, err
	}
	return c, errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(c.keyFile, made.JWK, 0o600),
		os.WriteFile(filepath.Join(dir, "client.json"), about, 0o600),
	)
}

// settings reach the servers of compose.yaml: those of NATS by name, and the S3
// server and the simulator at 127.0.0.1, in the network of whose container the
// workers are.
func settings(nkey string, redox client) string {
	return fmt.Sprintf(`nats:
  url: nats://nats-1:4222,nats://nats-2:4222,nats://nats-3:4222
  nkey: %s
s3:
  endpoint: http://127.0.0.1:9000
  region: us-east-1
  path-style: true
  buckets: [reports]
bucket: reports
redox:
  environment: Development
  api-url: http://127.0.0.1:8443
  token-url: http://127.0.0.1:8443/v2/auth/token
  blob-url: http://127.0.0.1:8443
  blob-hosts: [blob.simulator.invalid]
  client-id: %s
  key-file: %s
  key-id: %s
  source-id: %s
`, nkey, redox.ClientID, redox.keyFile, redox.KeyID, redox.SourceID)
}

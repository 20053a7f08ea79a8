package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// identity is the API key that worker and simulator share. It is made once and
// kept in the folder.
type identity struct {
	ClientID string `json:"client_id"`
	KeyID    string `json:"key_id"`
	SourceID string `json:"source_id"`

	keyFile string
	jwk     string
}

// identityIn reads the identity of dir, or makes one.
func identityIn(dir string) (*identity, error) {
	id := &identity{keyFile: filepath.Join(dir, "private-key.jwk")}
	about := filepath.Join(dir, "client.json")
	if _, err := os.Stat(about); errors.Is(err, fs.ErrNotExist) {
		if err := makeIdentity(about, id.keyFile); err != nil {
			return nil, fmt.Errorf("making a key for the simulator: %w", err)
		}
	}
	data, err := os.ReadFile(about)
	if err == nil {
		err = json.Unmarshal(data, id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the simulator's client: %w", err)
	}
	jwk, err := os.ReadFile(id.keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the simulator's key: %w", err)
	}
	id.jwk = string(jwk)
	return id, nil
}

// makeIdentity writes the key first: a folder with client.json is complete.
func makeIdentity(about, keyFile string) error {
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, credentials.JWK, 0o600); err != nil {
		return err
	}
	data, err := json.MarshalIndent(identity{
		ClientID: credentials.ClientID, KeyID: credentials.KeyID, SourceID: credentials.Client.Sources[0],
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(about, data, 0o600)
}

func (id *identity) client() redoxsim.Client {
	return redoxsim.Client{ID: id.ClientID, Keys: map[string]any{id.KeyID: id.jwk}, Sources: []string{id.SourceID}}
}

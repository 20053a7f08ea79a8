package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chartpost/chartpost/internal/intake"
)

// HTTPClient reads the provider's keys.
type HTTPClient interface {
	Do(*http.Request) (*http.Response, error)
}

const (
	// keysFresh is for how long keys count without another look: a key that the provider
	// has withdrawn is refused after that.
	keysFresh = 5 * time.Minute
	// keysStale is for how long they count while the provider does not answer.
	keysStale = time.Hour
	// keysPause is the least time between two looks: tokens that name keys of their own
	// invention cost the provider nothing.
	keysPause = 10 * time.Second
	// keysTime bounds a look, and mostKeys what it reads, in bytes.
	keysTime = 5 * time.Second
	mostKeys = 256 << 10
)

// keys are those of a provider.
type keys struct {
	issuer string
	client HTTPClient
	now    func() time.Time

	// look is held by who asks the provider: the others wait for what it finds.
	look sync.Mutex
	mu   sync.Mutex
	set  jose.JSONWebKeySet
	read time.Time
	// tried is when the provider was asked last, whatever it said.
	tried time.Time
}

func newKeys(issuer string, client HTTPClient, now func() time.Time) *keys {
	return &keys{issuer: issuer, client: client, now: now}
}

// find gives the key that a token's header names.
func (k *keys) find(ctx context.Context, header jose.Header) (jose.JSONWebKey, error) {
	key, found, fresh := k.known(header)
	if found && fresh {
		return key, nil
	}
	if err := k.refresh(ctx); err != nil && !found {
		return jose.JSONWebKey{}, err
	}
	if key, found, _ = k.known(header); !found {
		return jose.JSONWebKey{}, errKey
	}
	return key, nil
}

// known looks among the keys at hand. A token without a key id fits where there is one
// key of its kind alone.
func (k *keys) known(header jose.Header) (key jose.JSONWebKey, found, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.read)
	if k.read.IsZero() || age > keysStale {
		return jose.JSONWebKey{}, false, false
	}
	for _, one := range k.set.Keys {
		if header.KeyID != "" && one.KeyID != header.KeyID || one.Algorithm != "" && one.Algorithm != header.Algorithm {
			continue
		}
		if found {
			return jose.JSONWebKey{}, false, age <= keysFresh // which one is not clear
		}
		key, found = one, true
	}
	return key, found, age <= keysFresh
}

// refresh reads the keys again, at most once every keysPause.
func (k *keys) refresh(ctx context.Context) error {
	k.look.Lock()
	defer k.look.Unlock()
	now := k.now()
	k.mu.Lock()
	tried, read := k.tried, k.read
	k.mu.Unlock()
	if !tried.IsZero() && now.Sub(tried) < keysPause {
		if read.Before(tried) { // the last look failed
			return providerAway(errors.New("the provider did not answer a moment ago"))
		}
		return nil
	}
	// Whoever goes away does not end the look of those who wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTime)
	defer cancel()
	set, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = now
	if err != nil {
		return providerAway(err)
	}
	k.set, k.read = set, now
	return nil
}

func providerAway(cause error) error {
	return &intake.Refusal{Kind: intake.Unavailable, Code: "provider_unavailable", Detail: "the identity provider does not answer, so that tokens cannot be verified", RetryAfter: keysPause, Cause: cause}
}

// fetch reads the provider's configuration and its keys.
// OpenID Connect Discovery 1.0, 4.
func (k *keys) fetch(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return set, err
	}
	if about.Issuer != k.issuer {
		return set, errors.New("the provider calls itself otherwise than --oidc-issuer does")
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.get(ctx, about.Keys, &raw); err != nil {
		return set, err
	}
	for _, one := range raw.Keys {
		var key jose.JSONWebKey
		// Keys of other kinds and for other uses may be among them.
		if key.UnmarshalJSON(one) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			set.Keys = append(set.Keys, key)
		}
	}
	if len(set.Keys) == 0 {
		return set, errors.New("the provider has no key to verify with")
	}
	return set, nil
}

func (k *keys) get(ctx context.Context, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return errors.New("the provider names a URL that is none")
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the provider: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the provider answered %d", resp.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostKeys)).Decode(into); err != nil {
		return errors.New("the provider's answer cannot be read")
	}
	return nil
}

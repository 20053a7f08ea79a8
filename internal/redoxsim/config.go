package redoxsim

import (
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/redoxsim/platform"
)

// Sizes and times Redox documents, used where Config leaves a zero.
const (
	DefaultTokenLifetime = 300 * time.Second
	DefaultFileLimit     = 30_000_000
	DefaultRequestLimit  = 40_000_000
	DefaultBlobBase      = "https://blob.simulator.invalid"
)

// Client is one API client of the simulated Redox: who may ask for tokens.
type Client struct {
	// ID is the client id that an assertion names as iss and sub.
	ID string
	// Keys are the public keys by kid. A value is a crypto.PublicKey, a
	// *jose.JSONWebKey, or the PEM or JWK text of one ([]byte or string).
	// RSA keys of at least 2048 bits (RS384) and P-384 keys (ES384) are taken.
	Keys map[string]any
	// Sources are the UUIDs of the sources this client may speak for; at
	// least one. With more than one, FHIR and Binary requests must name
	// theirs in Redox-source-Id.
	Sources []string
	// User: it is a user-level key, which may call the Platform API and sends no
	// files and messages. Another key may not call the Platform API. Whether Redox
	// refuses the one and the other is not documented (our assumption).
	User bool
}

// RateLimit is the number of requests taken in a rolling window from one
// address. Refused requests are not counted (our assumption).
type RateLimit struct {
	Requests int
	// Window defaults to five minutes.
	Window time.Duration
}

// Config says what the simulator serves. Only Clients is required.
type Config struct {
	Clients []Client
	// Audience is the token URL an assertion must name as aud. Empty means
	// the URL the request was made to: scheme, Host header and path. It can
	// be set later by Server.SetAudience.
	Audience string
	// StrictClock refuses an assertion whose iat or nbf lies in the future by any
	// time at all; otherwise five seconds are allowed.
	StrictClock bool
	// TokenLifetime is what expires_in says; default 300 s.
	TokenLifetime time.Duration
	// BlobBase is the https URL below which uploaded files get their address.
	BlobBase string
	// Environments are the flags served, spelled exactly; default all three.
	Environments []string
	// Destinations are the slugs and Data Model destination ids that exist;
	// empty means any.
	Destinations []string
	// Rate is off when Requests is 0.
	Rate RateLimit
	// FileLimit and RequestLimit are bytes; default 30,000,000 and 40,000,000.
	FileLimit, RequestLimit int64
	// Dir keeps arrived bytes below it, and Close leaves them there. Empty
	// means memory for small bodies and a temporary directory for the others.
	Dir string
	// Platform is the Platform API, which learns of each message taken; nil is none.
	Platform *platform.API
	// Now is the clock of tokens, the rate window and the records.
	Now func() time.Time
}

func (c *Config) complete() error {
	if len(c.Clients) == 0 {
		return fmt.Errorf("redoxsim: no clients")
	}
	if c.TokenLifetime <= 0 {
		c.TokenLifetime = DefaultTokenLifetime
	}
	if c.FileLimit <= 0 {
		c.FileLimit = DefaultFileLimit
	}
	if c.RequestLimit <= 0 {
		c.RequestLimit = DefaultRequestLimit
	}
	if c.Rate.Window <= 0 {
		c.Rate.Window = 5 * time.Minute
	}
	if len(c.Environments) == 0 {
		c.Environments = []string{"Development", "Staging", "Production"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BlobBase == "" {
		c.BlobBase = DefaultBlobBase
	}
	c.BlobBase = strings.TrimRight(c.BlobBase, "/")
	u, err := url.Parse(c.BlobBase)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("redoxsim: the blob base must be an absolute https URL")
	}
	return nil
}

// New checks the configuration and makes a simulator. Close it after use: it
// may hold a temporary directory and hanging connections.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		audience: cfg.Audience,
		clients:  map[string]*client{},
		tokens:   map[string]grant{},
		replays:  map[string]time.Time{},
		uploads:  map[string]*Upload{},
		windows:  map[string][]time.Time{},
		changed:  make(chan struct{}),
		done:     make(chan struct{}),
		parsing:  make(chan struct{}, max(2, min(4, runtime.GOMAXPROCS(0)))),
	}
	for _, c := range cfg.Clients {
		if err := s.SetClient(c); err != nil {
			return nil, err
		}
	}
	dir, err := openSpool(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("redoxsim: directory for arrived bytes: %w", err)
	}
	s.spool, s.sim = dir, s.inspection()
	return s, nil
}

func openSpool(dir string) (*spool, error) {
	if dir != "" {
		return &spool{dir: dir}, os.MkdirAll(dir, 0o700)
	}
	tmp, err := os.MkdirTemp("", "redoxsim-")
	return &spool{dir: tmp, temporary: true}, err
}

// SetClient adds a client or replaces the one of the same id, with its keys
// and sources: key rotation while the simulator runs. Tokens already issued
// stay valid.
func (s *Server) SetClient(c Client) error {
	if c.ID == "" || len(c.Keys) == 0 || len(c.Sources) == 0 && !c.User {
		return fmt.Errorf("redoxsim: a client needs an id, a key and, unless it is a user's, a source")
	}
	made := &client{id: c.ID, keys: map[string]any{}, user: c.User}
	for kid, key := range c.Keys {
		public, err := publicKey(key)
		if err != nil {
			return fmt.Errorf("redoxsim: client %s, key %s: %w", c.ID, kid, err)
		}
		made.keys[kid] = public
	}
	for _, source := range c.Sources {
		id, err := uuid.Parse(source)
		if err != nil {
			return fmt.Errorf("redoxsim: client %s: a source must be a UUID", c.ID)
		}
		made.sources = append(made.sources, id.String())
	}
	slices.Sort(made.sources)
	made.sources = slices.Compact(made.sources)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.ID] = made
	return nil
}

// SetAudience changes the token URL that assertions must name, for servers
// whose address is known only after they listen.
func (s *Server) SetAudience(tokenURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.audience = tokenURL
}

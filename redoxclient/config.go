package redoxclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Defaults of a Config.
const (
	DefaultAPIURL      = "https://api.redoxengine.com"
	DefaultBlobURL     = "https://" + DefaultBlobHost
	DefaultBlobHost    = "blob.redoxengine.com"
	DefaultConcurrency = 16
	DefaultAnswerLimit = 1 << 20
	DefaultUserAgent   = "chartpost-redoxclient"
)

// Tokens gives access tokens. *TokenSource is one.
type Tokens interface {
	// TokenContext gives a usable token; it may be shared by many callers.
	TokenContext(ctx context.Context) (*oauth2.Token, error)
	// Invalidate drops a token that Redox refused, if it is still the current one.
	Invalidate(accessToken string)
}

// Timeouts bound the parts of a request. There is no total timeout: a large
// file over a slow line may take as long as it keeps moving. Zero takes the
// default.
type Timeouts struct {
	Dial time.Duration // default 10 s
	TLS  time.Duration // handshake, default 10 s
	// Answer is from the whole body handed over to the answer's headers;
	// default 5 min, because Redox answers 504 after "a couple of minutes".
	Answer time.Duration
	// Stall is how long neither body nor answer may stand still; default 2 min.
	Stall time.Duration
	// Continue is how long a large body waits for "100 Continue"; default 2 s.
	Continue time.Duration
}

// Config says which Redox a client talks to. Tokens and Environment have no
// default.
type Config struct {
	// APIURL is the API's base, default DefaultAPIURL. Plain http is accepted
	// for loopback hosts only.
	APIURL string
	// BlobURL is the base of UploadBlob, by the rules of APIURL. Its default,
	// DefaultBlobURL, goes with the default APIURL alone: files meant for a
	// simulator or another country must not end in the US by an omission.
	// Without a BlobURL UploadBlob refuses. Which URLs are believed in its
	// answers is for BlobHosts to say.
	BlobURL string
	// Environment is Redox's flag: exactly Development, Staging or Production.
	Environment string
	// BlobHosts are the hosts, each with an optional port, whose URLs are
	// believed in the answer to an upload; default DefaultBlobHost.
	BlobHosts []string
	Tokens    Tokens
	// Concurrency is how many calls run at once; it sizes the connection pool
	// and is no limit.
	Concurrency int
	Timeouts    Timeouts
	// TLS adds roots or client certificates. Verification cannot be turned off.
	TLS *tls.Config
	// AnswerLimit is the longest answer that is read, in bytes.
	AnswerLimit int64
	UserAgent   string
	// Throttle, unless nil, is asked before the repeat of a call whose token was
	// refused, and told of each answer. The call itself is the caller's to pace:
	// it may have to wait before it writes down that it sends.
	Throttle Throttle
	// Observe, unless nil, is told of each request that was made.
	Observe Observe
	// Now is the clock against which a Retry-After date is read.
	Now func() time.Time
}

// Client sends files and messages to one Redox environment. It is safe for
// concurrent use.
type Client struct {
	cfg       Config
	base      *url.URL // of APIURL
	blobBase  *url.URL // of BlobURL; nil without one
	transport *http.Transport
}

// New checks the whole Config and reports every fault in it at once, each with
// the field's name.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	base, baseErr := parseBase(cfg.APIURL)
	var blobBase *url.URL
	var blobErr error
	if cfg.BlobURL != "" {
		blobBase, blobErr = parseBase(cfg.BlobURL)
	}
	faults := append([]error{field("APIURL", baseErr), field("BlobURL", blobErr)}, cfg.faults()...)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, base: base, blobBase: blobBase, transport: newTransport(cfg.Timeouts, cfg.TLS, cfg.Concurrency)}, nil
}

// Close closes idle connections. Calls in progress go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

func (c Config) withDefaults() Config {
	c.APIURL = cmp.Or(c.APIURL, DefaultAPIURL)
	if c.APIURL == DefaultAPIURL {
		c.BlobURL = cmp.Or(c.BlobURL, DefaultBlobURL)
	}
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	c.AnswerLimit = cmp.Or(c.AnswerLimit, DefaultAnswerLimit)
	c.UserAgent = cmp.Or(c.UserAgent, DefaultUserAgent)
	c.Timeouts = c.Timeouts.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	c.BlobHosts = slices.Clone(c.BlobHosts)
	if len(c.BlobHosts) == 0 {
		c.BlobHosts = []string{DefaultBlobHost}
	}
	for i, h := range c.BlobHosts {
		c.BlobHosts[i] = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(h)), ":443")
	}
	return c
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Dial:     cmp.Or(t.Dial, 10*time.Second),
		TLS:      cmp.Or(t.TLS, 10*time.Second),
		Answer:   cmp.Or(t.Answer, 5*time.Minute),
		Stall:    cmp.Or(t.Stall, 2*time.Minute),
		Continue: cmp.Or(t.Continue, 2*time.Second),
	}
}

func (c Config) faults() []error {
	var faults []error
	add := func(ok bool, name, text string) {
		if !ok {
			faults = append(faults, field(name, errors.New(text)))
		}
	}
	add(slices.Contains([]string{"Development", "Staging", "Production"}, c.Environment),
		"Environment", "must be exactly Development, Staging or Production")
	add(c.Tokens != nil, "Tokens", "is required")
	for i, h := range c.BlobHosts {
		add(hostShape.MatchString(h), fmt.Sprintf("BlobHosts[%d]", i), "must be a host name with an optional port")
	}
	add(c.Concurrency > 0, "Concurrency", "must be positive")
	add(c.AnswerLimit > 0, "AnswerLimit", "must be positive")
	add(plainHeader(c.UserAgent), "UserAgent", "must be printable ASCII")
	add(c.TLS == nil || !c.TLS.InsecureSkipVerify, "TLS", "must verify certificates")
	add(c.Timeouts.Dial > 0, "Timeouts.Dial", "must be positive")
	add(c.Timeouts.TLS > 0, "Timeouts.TLS", "must be positive")
	add(c.Timeouts.Answer > 0, "Timeouts.Answer", "must be positive")
	add(c.Timeouts.Stall > 0, "Timeouts.Stall", "must be positive")
	add(c.Timeouts.Continue > 0, "Timeouts.Continue", "must be positive")
	return faults
}

func field(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %w", name, err)
}

func plainHeader(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func requirePlain(s string) error {
	if s == "" {
		return errors.New("is required")
	}
	if !plainURLText(s) || len(s) > 256 {
		return errors.New("must be printable ASCII without spaces")
	}
	return nil
}

func requireVerify(c *tls.Config) error {
	if c != nil && c.InsecureSkipVerify {
		return errors.New("must verify certificates")
	}
	return nil
}

func requirePositive(d time.Duration) error {
	if d <= 0 {
		return errors.New("must be positive")
	}
	return nil
}

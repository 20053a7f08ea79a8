package platform

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/redoxclient"
)

// Regions are the values of serviceRegion that Redox documents. A search must name
// one where the environment has several.
var regions = []string{"AWS_USA_EAST_1", "AWS_CAN_CENTRAL", "GCP_USA_CENTRAL_1"}

const (
	// requestTimeout bounds one request. Redox answers 504 after about a minute.
	requestTimeout = 90 * time.Second
	answerLimit    = 4 << 20
)

// Config says whose logs are read. Organization, EnvironmentID and Tokens have no
// default.
type Config struct {
	// APIURL is the API's base, default redoxclient.DefaultAPIURL. Plain http is
	// accepted for loopback hosts only.
	APIURL string
	// Organization is the organization's id, a whole number.
	Organization string
	// EnvironmentID is the id of the environment that is searched.
	EnvironmentID string
	// Region is serviceRegion; empty leaves it out.
	Region string
	// Tokens are those of a user-level key.
	Tokens redoxclient.Tokens
	TLS    *tls.Config
	// Throttle, unless nil, is asked before each request and told of each answer.
	Throttle  redoxclient.Throttle
	UserAgent string
	Now       func() time.Time
}

// Client reads logs. It is safe for concurrent use.
type Client struct {
	cfg       Config
	base      *url.URL
	transport *http.Transport
	// learned: a cursor was seen in an answer, so that its absence means the end.
	learned atomic.Bool
}

var (
	wholeNumber = regexp.MustCompile(`^[0-9]{1,18}$`)
	pathID      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// New checks the whole Config and reports every fault in it at once, each with the
// field's name.
func New(cfg Config) (*Client, error) {
	cfg.APIURL = cmp.Or(cfg.APIURL, redoxclient.DefaultAPIURL)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, redoxclient.DefaultUserAgent)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	base, err := parseBase(cfg.APIURL)
	faults := []error{err}
	add := func(ok bool, text string) {
		if !ok {
			faults = append(faults, errors.New(text))
		}
	}
	add(cfg.Organization == "" || wholeNumber.MatchString(cfg.Organization), "Organization must be a whole number")
	add(cfg.EnvironmentID == "" || pathID.MatchString(cfg.EnvironmentID), "EnvironmentID must be an id of letters, digits, - and _")
	add(cfg.Region == "" || slices.Contains(regions, cfg.Region), "Region must be one of "+strings.Join(regions, ", "))
	add(cfg.Tokens != nil, "Tokens is required")
	add(cfg.TLS == nil || !cfg.TLS.InsecureSkipVerify, "TLS must verify certificates")
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, base: base, transport: newTransport(cfg.TLS)}, nil
}

// Regions lists the service regions that Redox documents.
func Regions() []string { return slices.Clone(regions) }

func parseBase(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("APIURL is not an absolute URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("APIURL must not hold a user, a query or a fragment")
	case u.Scheme == "https":
	case u.Scheme != "http" || !loopback(u.Hostname()):
		return nil, errors.New("APIURL must be an https URL: plain http is for loopback hosts only")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(config *tls.Config) *http.Transport {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// needs fails where a call lacks an id of the Config, or was given one that is none.
func needs(op Op, name, id string, shape *regexp.Regexp) error {
	if shape.MatchString(id) {
		return nil
	}
	return &Error{Op: op, Kind: Invalid, Code: "invalid_id", cause: fmt.Errorf("%s is missing, or no id", name)}
}

// Package natsq is Chartpost's side of NATS JetStream: the connection, the
// streams and buckets, taking jobs from their lanes, and publishing what became
// of them. It moves bytes and knows no rule of delivery.
package natsq

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/worker"
)

// Config says how to reach NATS.
type Config struct {
	// URL may list several servers, separated by commas.
	URL string
	// Creds is the path of a credentials file; NKey that of a seed file.
	Creds, NKey string
	// CA, Cert and Key are PEM files for TLS; Cert and Key go together. They are
	// read again for each connection, so that renewed ones are taken up.
	CA, Cert, Key string
	// Prefix starts every subject, stream and bucket.
	Prefix string
	// Name is what the server shows of this client.
	Name string
	// Options are added last; an in-process connection comes this way.
	Options []nats.Option
}

// Conn is a connection to NATS under one prefix.
type Conn struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	prefix string
	log    *slog.Logger
	// troubles is the book that Troubles reads.
	troubles *troubles
	denials  denials
	holdings holdings
	clock    clock
	// renewed counts for Renewed.
	renewed atomic.Uint64
	// allPaused is the pause of all lanes, as the Follow of a Control heard it; nil is none.
	allPaused atomic.Pointer[worker.Pause]
}

// reconnectWait is the pause between tries to reach a lost server again.
const reconnectWait = 500 * time.Millisecond

// A server that dies without a word (its machine lost power, the network drops
// packets) is noticed after two to three pings: 10-15 s. That is below the
// default lease, so that another server can be told in time that the jobs in hand
// are still worked on. The library's own default is 4-6 minutes.
const (
	pingPeriod = 5 * time.Second
	lostPings  = 2
)

// connectTimeout bounds one try to connect, TLS and authentication included. The
// library's own default of 2 s would end the start of a worker, or a command,
// beside a server that is only busy, as after an outage when everybody comes back.
// A server that was just lost is tried last of all.
const connectTimeout = 10 * time.Second

// apiTimeout bounds one request to JetStream. A leader election takes 4-9 s, so
// whoever must get through retries; this bound is for noticing.
const apiTimeout = 5 * time.Second

// Connect dials NATS and waits for the first connection. Later losses are
// repaired for ever, quietly for the caller and loudly in the log.
func Connect(cfg Config, log *slog.Logger) (*Conn, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	c := &Conn{prefix: cfg.Prefix, log: log, troubles: newTroubles()}
	options = append(append(options, c.listening()...), cfg.Options...)
	nc, err := nats.Connect(cfg.URL, options...)
	if err != nil {
		return nil, connecting(err, cfg.URL)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	c.nc, c.js = nc, js
	return c, nil
}

// listening are the options by which the connection tells of its troubles.
func (c *Conn) listening() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() { // not our own Close
				c.lost(err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.lost(err) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.found(nc.ConnectedServerId()) }),
		// A denied publish shows at the caller as a timeout; only here does the
		// server's reason arrive.
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if !c.overrun(sub, err) {
				c.reported(err)
			}
		}),
	}
}

func (cfg Config) options() ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.MaxReconnects(-1),
		nats.Timeout(connectTimeout),
		nats.PingInterval(pingPeriod),
		nats.MaxPingsOutstanding(lostPings),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(100*time.Millisecond, time.Second),
		// Nothing is kept to be sent after a reconnect: an ask or a write of the
		// ledger that was given up must not happen later. Who must get through
		// tries again.
		nats.ReconnectBufSize(-1),
		nats.RetryOnFailedConnect(false),
		// Credentials that are refused today may be renewed tomorrow. The library
		// would close the connection for good when they are refused twice.
		nats.IgnoreAuthErrorAbort(),
	}
	if cfg.Creds != "" {
		options = append(options, nats.UserCredentials(cfg.Creds))
	}
	if cfg.NKey != "" {
		option, err := nats.NkeyOptionFromSeed(cfg.NKey)
		if err != nil {
			return nil, fmt.Errorf("reading the NATS nkey seed file: %w", err)
		}
		options = append(options, option)
	}
	if cfg.CA == "" && cfg.Cert == "" {
		return options, nil
	}
	secure, err := cfg.secure()
	return append(options, secure), err
}

// reasonOf keeps the library's own words up to the first quoted part. They name
// subjects in double quotes, which hold destinations and job ids; but between
// single quotes a protocol error shows what was read from the connection, and
// that may be a job.
func reasonOf(err error) string {
	if err == nil {
		return "closed by the server"
	}
	words, _, _ := strings.Cut(err.Error(), "'")
	return strings.TrimRight(words, " :")
}

// Connected tells whether the connection stands at this moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// life numbers the connection's lives: it changes with every reconnect.
func (c *Conn) life() uint64 { return c.nc.Stats().Reconnects }

// flush waits until the server has taken what was sent, if it can be reached.
func (c *Conn) flush() {
	if c.Connected() {
		c.nc.FlushTimeout(2 * time.Second)
	}
}

// Server names the server and its version, for people.
func (c *Conn) Server() string {
	return fmt.Sprintf("%s (nats-server %s)", c.nc.ConnectedUrlRedacted(), c.nc.ConnectedServerVersion())
}

// Close sends what is buffered and closes the connection.
func (c *Conn) Close() error {
	err := c.nc.FlushTimeout(2 * time.Second)
	c.nc.Close()
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

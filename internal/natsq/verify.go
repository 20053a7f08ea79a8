package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// startPatience is how long JetStream may be silent when something starts: it
// outlasts an election (4-9 s) and the restart of a server.
const startPatience = time.Minute

var (
	// errSetup is the end of a Verify that found something missing or unfit.
	errSetup = errors.New("run `chartpost setup` with an operator's user")
	// errSilent is that of one, and of the opening of a bucket, that found out
	// nothing.
	errSilent = errors.New("JetStream does not answer")
)

// Verify reports every stream and bucket that is missing or cannot do what
// delivery needs, in one error, at once. A JetStream that does not answer, say
// because it has no leader, is asked for up to a minute; that error is another.
func (c *Conn) Verify(ctx context.Context) error { return c.verify(ctx, startPatience) }

func (c *Conn) verify(ctx context.Context, patience time.Duration) error {
	if err := c.verifyVersion(); err != nil {
		return err
	}
	unfit := func(err error) bool { return errors.Is(err, errSetup) || hopeless(err) }
	if err := c.await(ctx, c.stream(""), patience, unfit, c.inspect); err != nil {
		return err
	}
	return c.verifySize()
}

// await tries op while JetStream is silent. It ends at once where the server denies a
// subject that names about, a stream or bucket or the start of their names.
func (c *Conn) await(ctx context.Context, about string, patience time.Duration, final func(error) bool, op func(context.Context) error) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waiting, done := c.denials.watch(waiting, about)
	defer done()
	err := retry.Do(waiting, final, op)
	if denied, ok := errors.AsType[*Denied](context.Cause(waiting)); ok && err != nil {
		return denied
	}
	if err == nil || final(err) || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", errSilent, plainly(err), err)
}

// inspect looks at every stream once. What is missing is said even where others
// do not answer.
func (c *Conn) inspect(ctx context.Context) error {
	var unfit, silent []error
	for _, v := range c.visit(ctx) {
		switch {
		case errors.Is(v.err, jetstream.ErrStreamNotFound):
			unfit = append(unfit, fmt.Errorf("%s: %w", titleOf(v.name), v.err))
		case v.err != nil:
			silent = append(silent, fmt.Errorf("%s: %w", titleOf(v.name), v.err))
		default:
			if err := c.fits(v.name, v.stream.CachedInfo().Config); err != nil {
				unfit = append(unfit, fmt.Errorf("%s: %w", titleOf(v.name), err))
			}
		}
	}
	if len(unfit) > 0 {
		return fmt.Errorf("%w\n%w", errors.Join(unfit...), errSetup)
	}
	return errors.Join(silent...)
}

// The oldest nats-server that Chartpost works with: an older one takes the header
// Nats-Stream-Source from any publisher, and with it what a worker believes of due jobs.
const oldestMajor, oldestMinor = 2, 15

func (c *Conn) verifyVersion() error {
	version := c.nc.ConnectedServerVersion()
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 {
		return nil // the connection is lost, and what comes next says so
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("nats-server %s is too old: Chartpost needs %d.%d or newer; update all NATS servers", version, oldestMajor, oldestMinor)
	}
	return nil
}

// headerRoom is more than the headers of a schedule or a dead letter take.
const headerRoom = 8 << 10

// verifySize makes sure that whatever job can be published can be scheduled and
// buried too: else one that is almost too large could never leave its lane.
func (c *Conn) verifySize() error {
	if most := c.nc.MaxPayload(); most < schemas.MaxJobSize+headerRoom {
		return fmt.Errorf("the NATS server's max_payload is %d bytes and must be at least %d, the largest job and its headers", most, schemas.MaxJobSize+headerRoom)
	}
	return nil
}

// Ledger opens the bucket that remembers jobs; a JetStream that does not answer
// is asked for up to a minute. How the bucket's reads and writes end is known to
// Troubles. How long records of ended jobs are kept is read here and not again.
func (c *Conn) Ledger(ctx context.Context) (jetstream.KeyValue, error) {
	name := c.stream(ledger)
	kv, err := c.bucket(ctx, name)
	if err != nil {
		return nil, err
	}
	var config jetstream.StreamConfig
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err = c.await(ctx, name, startPatience, missing, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, bucketStream(name))
		if err == nil {
			config = stream.CachedInfo().Config
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return c.ledgerBucket(kv, config), nil
}

// bucket opens a bucket, and waits for a JetStream that does not answer.
func (c *Conn) bucket(ctx context.Context, name string) (kv jetstream.KeyValue, err error) {
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrBucketNotFound) || hopeless(err) }
	err = c.await(ctx, name, startPatience, missing, func(ctx context.Context) (err error) {
		began := time.Now()
		if kv, err = c.js.KeyValue(ctx, name); !errors.Is(ctx.Err(), context.Canceled) {
			c.tried(asking(bucketStream(name)), "", began, err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return kv, nil
}

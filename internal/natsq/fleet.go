package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/internal/versioned"
)

// Fleet is what all workers of a deployment must agree on.
type Fleet struct {
	// Lease is how long a worker may be silent about a job. The queue has one for
	// each lane: with two, the shorter one would hand jobs to others too early.
	Lease time.Duration
	// Environment is the Redox environment: a worker of another one would refuse
	// every job.
	Environment string
}

// fleetKey is the record in the control bucket.
const fleetKey = "fleet"

// fleetRecord is the record's form.
type fleetRecord struct {
	Version     int    `json:"version"`
	Lease       string `json:"lease"`
	Environment string `json:"environment"`

	Unknown versioned.Unknown `json:",embed"`
}

const fleetVersion = 1

// errFleet is the end of a Join that the fleet's record refuses.
var errFleet = errors.New("this worker does not fit the other workers of its prefix")

// Join compares a worker with the fleet's record. The first worker of a deployment
// writes it. A JetStream that does not answer is asked for up to a minute. A worker that
// may not read or write the record is told at once.
func (c *Conn) Join(ctx context.Context, f Fleet) error {
	value, err := versioned.Encode(fleetRecord{Version: fleetVersion, Lease: f.Lease.String(), Environment: f.Environment})
	if err != nil {
		return err
	}
	kv, err := c.bucket(ctx, c.stream(control))
	if err != nil {
		return err
	}
	refused := func(err error) bool { return errors.Is(err, errFleet) || hopeless(err) }
	return c.await(ctx, c.stream(control), startPatience, refused, func(ctx context.Context) error {
		_, err := kv.Create(ctx, fleetKey, value)
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
		found, err := c.fleet(ctx)
		if err != nil {
			return err
		}
		return f.fits(found, c.prefix)
	})
}

// fleet reads the record from the bucket's leader.
func (c *Conn) fleet(ctx context.Context) (fleetRecord, error) {
	control := c.control()
	msg, err := c.fromLeader(ctx, control.stream(), leaderGet{LastOf: control.subject(fleetKey)})
	if err != nil {
		return fleetRecord{}, err
	}
	return readFleet(valueOf(msg.Header, msg.Data))
}

// readFleet reads the record's form.
func readFleet(value []byte) (found fleetRecord, err error) {
	err = versioned.Decode(value, fleetVersion, &found)
	if _, later := errors.AsType[*versioned.Newer](err); later {
		return fleetRecord{}, fmt.Errorf("%w: %w", errFleet, err)
	}
	if err != nil || found.Version < 1 {
		return fleetRecord{}, fmt.Errorf("%w: the record %q in the control bucket cannot be read", errFleet, fleetKey)
	}
	return found, nil
}

func (f Fleet) fits(found fleetRecord, prefix string) error {
	switch {
	case found.Environment != f.Environment:
		return fmt.Errorf("%w: --redox-environment is %s here, and the prefix %s belongs to %s; give each environment a prefix of its own", errFleet, f.Environment, prefix, found.Environment)
	case found.Lease != f.Lease.String():
		return fmt.Errorf("%w: --lease is %s here and %s there; set the same, or stop all workers and run chartpost setup --lease %s", errFleet, f.Lease, found.Lease, f.Lease)
	}
	return nil
}

// SetLease changes the lease of the fleet's record. All workers must be stopped. It
// does nothing before the first worker has started: that one's lease is the fleet's.
func (c *Conn) SetLease(ctx context.Context, lease time.Duration) error {
	kv, err := c.bucket(ctx, c.stream(control))
	if err != nil {
		return err
	}
	refused := func(err error) bool { return errors.Is(err, errFleet) || hopeless(err) }
	return retry.Do(ctx, refused, func(ctx context.Context) error {
		entry, err := kv.Get(ctx, fleetKey)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := readFleet(entry.Value())
		if err != nil {
			return err
		}
		found.Lease = lease.String()
		value, err := versioned.Encode(found)
		if err != nil {
			return err
		}
		_, err = kv.Update(ctx, fleetKey, value, entry.Revision())
		return err
	})
}

package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// claimAge is how long a claim is kept. The ledger knows a job from the moment a worker
// has taken it; a claim is for the time before.
const claimAge = 24 * time.Hour

// claimRecord is a claim's form.
type claimRecord struct {
	Version int           `json:"version"`
	Digest  string        `json:"digest"`
	Class   schemas.Class `json:"class"`
	Token   string        `json:"token"`

	Unknown versioned.Unknown `json:",embed"`
}

const claimVersion = 1

// Claims keeps the claims of the intake in a bucket.
type Claims struct{ conn *Conn }

var _ intake.Claims = Claims{}

// Claims gives the bucket of claims.
func (c *Conn) Claims() Claims { return Claims{c} }

func (c Claims) stream() string { return bucketStream(c.conn.stream(claims)) }

func (c Claims) subject(job schemas.JobKey) string {
	return "$KV." + c.conn.stream(claims) + "." + job.Tokens()
}

// found is a claim as the bucket's leader has it; of a removed one only the revision.
type found struct {
	claim    intake.Claim
	there    bool
	revision uint64
}

// Make implements intake.Claims.
func (c Claims) Make(ctx context.Context, job schemas.JobKey, claim intake.Claim) (intake.Claim, bool, error) {
	return c.write(ctx, job, 0, claim)
}

// Replace implements intake.Claims.
func (c Claims) Replace(ctx context.Context, job schemas.JobKey, old, claim intake.Claim) (intake.Claim, bool, error) {
	return c.write(ctx, job, old.Revision, claim)
}

// write stores a claim over a revision. A lost comparison is looked at: the claim may be
// our own, of a try whose answer was lost, or the mark of a removed one, over which a new
// one is made.
func (c Claims) write(ctx context.Context, job schemas.JobKey, over uint64, claim intake.Claim) (stands intake.Claim, ours bool, err error) {
	value, err := versioned.Encode(claimRecord{Version: claimVersion, Digest: claim.Digest, Class: claim.Class, Token: claim.Token})
	if err != nil {
		return intake.Claim{}, false, err
	}
	err = retry.Do(ctx, claimHopeless, func(ctx context.Context) error {
		for {
			began := time.Now()
			msg := nats.NewMsg(c.subject(job))
			msg.Data = value
			ack, err := c.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(over), jetstream.WithExpectStream(c.stream()))
			if err == nil {
				c.conn.tried("writing claims", "", began, nil)
				stands, ours = claim, true
				stands.Revision, stands.Made, stands.Age = ack.Sequence, c.conn.queueTime(), 0
				return nil
			}
			if !lostRace(err) {
				c.conn.tried("writing claims", "", began, err)
				return err
			}
			f, err := c.read(ctx, job)
			if err != nil {
				return err
			}
			if f.there || f.revision == over {
				stands, ours = f.claim, f.there && f.claim.Token == claim.Token
				return errIf(!f.there, "a claim was written and removed at once")
			}
			over = f.revision
		}
	})
	if err != nil {
		return intake.Claim{}, false, c.conn.judged(err)
	}
	return stands, ours, nil
}

func errIf(wrong bool, text string) error {
	if !wrong {
		return nil
	}
	return errors.New(text)
}

// Find implements intake.Claims.
func (c Claims) Find(ctx context.Context, job schemas.JobKey) (claim intake.Claim, there bool, err error) {
	err = retry.Do(ctx, claimHopeless, func(ctx context.Context) error {
		f, err := c.read(ctx, job)
		claim, there = f.claim, f.there
		return err
	})
	return claim, there, err
}

// Drop implements intake.Claims. It leaves the bucket's mark of a removal.
func (c Claims) Drop(ctx context.Context, job schemas.JobKey, claim intake.Claim) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	msg := nats.NewMsg(c.subject(job))
	msg.Header.Set(kvOperation, "DEL")
	_, err := c.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(claim.Revision))
	if err != nil {
		c.conn.log.Debug("a claim stays; it is taken over when the job comes again", "error", reasonOf(err))
	}
}

func (c Claims) read(ctx context.Context, job schemas.JobKey) (found, error) {
	msg, err := c.conn.fromLeader(ctx, c.stream(), leaderGet{LastOf: c.subject(job)})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	f := found{revision: msg.Sequence}
	value := valueOf(msg.Header, msg.Data)
	if value == nil {
		return f, nil
	}
	var record claimRecord
	if err := versioned.Decode(value, claimVersion, &record); err != nil {
		return found{}, fmt.Errorf("%w: %w", errClaim, err)
	}
	f.there = true
	f.claim = intake.Claim{
		Digest: record.Digest, Class: record.Class, Token: record.Token, Made: msg.Time, Revision: msg.Sequence,
		Age: max(0, c.conn.queueTime().Sub(msg.Time)),
	}
	return f, nil
}

// errClaim is that of a claim that cannot be read, for instance of a later version.
var errClaim = errors.New("the claim of a job cannot be read")

func claimHopeless(err error) bool { return errors.Is(err, errClaim) || hopeless(err) }

// queueTime is the server's time where it is known, else this machine's.
func (c *Conn) queueTime() time.Time {
	if now, known := c.Now(); known {
		return now
	}
	return time.Now()
}

// claimsBucket is the stream of the claims. They may expire and be removed.
func (c *Conn) claimsBucket(l Layout) jetstream.StreamConfig {
	return bucketConfig(c.stream(claims), "Chartpost: jobs that programs have submitted, until a worker knows them; kept for "+strconv.Itoa(int(claimAge.Hours()))+" h", claimAge, l.Replicas)
}

// VerifyClaims makes sure that chartpost setup has made the bucket.
func (c *Conn) VerifyClaims(ctx context.Context) error {
	_, err := c.bucket(ctx, c.stream(claims))
	if err != nil {
		return fmt.Errorf("bucket %s: %w; run chartpost setup", c.stream(claims), err)
	}
	return nil
}

// Named adds the jobs of an id that have a claim.
func (c Claims) Named(ctx context.Context, id string, keys []schemas.JobKey) ([]schemas.JobKey, error) {
	before := "$KV." + c.conn.stream(claims) + "."
	err := retry.Do(ctx, hopeless, func(ctx context.Context) error {
		stream, err := c.conn.js.Stream(ctx, c.stream())
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(before+"*."+id))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			if key, err := schemas.ParseJobTokens(strings.TrimPrefix(subject, before)); err == nil && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

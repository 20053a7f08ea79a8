package natsq

import (
	"strings"

	"github.com/chartpost/chartpost/schemas"
)

// The streams and buckets, without their prefix.
const (
	jobs    = "JOBS"
	dueJobs = "DUE"
	events  = "EVENTS"
	dead    = "DEAD"
	ledger  = "LEDGER"
	ended   = "ENDED"
	control = "CONTROL"
	audit   = "AUDIT"
	index   = "INDEX"
	// claims is the bucket of what programs have submitted to the intake.
	claims = "INTAKE"
)

// Headers on messages of ours.
const (
	// HeaderAttempt is on a job that a schedule brings back: the number of the
	// attempt it is to start.
	HeaderAttempt = "Chartpost-Attempt"
	// HeaderJobID and the reason headers are on dead letters, HeaderAfter on those of
	// jobs that come after another.
	HeaderJobID      = "Chartpost-Job-Id"
	HeaderAfter      = "Chartpost-After"
	HeaderStatus     = "Chartpost-Status"
	HeaderReasonKind = "Chartpost-Reason-Kind"
	HeaderReasonCode = "Chartpost-Reason-Code"
	HeaderReasonText = "Chartpost-Reason-Text"
	HeaderReasonPath = "Chartpost-Reason-Path"
	// HeaderReplayID is random, and on dead letters too.
	HeaderReplayID = "Chartpost-Replay-Id"
	// HeaderDuplicate is "true" on the dead letter of a job whose message may
	// have been taken once already.
	HeaderDuplicate = "Chartpost-Possible-Duplicate"
)

// StreamNames are the streams of this prefix that delivery needs, in the order of
// setup.
func (c *Conn) StreamNames() []string {
	return []string{c.stream(dueJobs), c.stream(jobs), c.stream(events), c.stream(dead), c.stream(ended)}
}

// BucketNames are the key-value buckets of this prefix.
func (c *Conn) BucketNames() []string { return []string{c.stream(ledger), c.stream(control)} }

func (c *Conn) stream(name string) string { return schemas.StreamName(c.prefix, name) }

// bucketStream is the stream in which a bucket is kept.
// NATS: ADR-8, "JetStream based Key-Value Stores".
func bucketStream(bucket string) string { return bucketPrefix + bucket }

const bucketPrefix = "KV_"

// titleOf names a stream or the bucket that it keeps, for people.
func titleOf(stream string) string {
	if bucket, ok := strings.CutPrefix(stream, bucketPrefix); ok {
		return "bucket " + bucket
	}
	return "stream " + stream
}

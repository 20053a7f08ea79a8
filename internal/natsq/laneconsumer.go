package natsq

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// maxConsumerName is shorter than the server's own limit of 255 bytes.
const maxConsumerName = 200

// consumerName is the lane's name, or for the few lanes whose name is too long
// for a consumer (an address of 128 bytes can be 384 when escaped) the start of
// it and its SHA-256.
func consumerName(lane schemas.Lane) string {
	name := lane.Name()
	if len(name) <= maxConsumerName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:100] + "-" + hex.EncodeToString(sum[:])
}

const (
	// inactive is after how long JetStream removes the consumer of a lane that nobody
	// asks and of which nobody has a job in hand (InactiveThreshold). Jobs stay, and
	// the lane gets another when its turn comes.
	inactive = 30 * time.Second
	// maxWaiting is how many workers may have an ask of one lane open (MaxWaiting).
	// The server keeps nothing for those that have none.
	maxWaiting = 10_000
)

// config is what a lane's consumer is made with. limit is how many jobs of the lane
// the fleet has in hand at once.
func (in *Intake) config(lane schemas.Lane, limit int) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:           consumerName(lane),
		Description:       "Chartpost lane",
		FilterSubject:     schemas.JobSubject(in.conn.prefix, lane),
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           in.settings.Lease,
		MaxAckPending:     limit,
		InactiveThreshold: inactive,
		// A job is given up by its own deadline, never by a count.
		MaxDeliver: -1,
		MaxWaiting: maxWaiting,
	}
}

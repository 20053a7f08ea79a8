// Package examples is the code of docs/integrating.md in Go.
package examples

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// Publish stores a job, given as its JSON. Without an error JetStream has it. After
// an error it is stored or not: publish the same bytes again.
func Publish(ctx context.Context, js jetstream.JetStream, data []byte) error {
	job, err := schemas.DecodeJob(data) // what breaks the schema fails here, not at the worker
	if err != nil {
		return err
	}
	lane := schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}
	msg := nats.NewMsg(schemas.JobSubject("chartpost", lane))
	msg.Data = data
	_, err = js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(5)) // without a Nats-Msg-Id
	return err
}

// Consume hands the events of the subscription "outcomes" to apply until ctx ends.
// apply does its work and notes event.ID in one transaction, and does nothing for an
// ID it has noted before: an event may come more than once.
func Consume(ctx context.Context, js jetstream.JetStream, apply func(context.Context, schemas.Event) error) error {
	consumer, err := js.Consumer(ctx, "CHARTPOST_EVENTS", "outcomes")
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		var event schemas.Event // fields that this program does not know are passed over
		if json.Unmarshal(msg.Data(), &event) != nil {
			msg.Term() // no event: it will be none the next time either
			continue
		}
		if err := apply(ctx, event); err != nil {
			msg.Nak() // it comes again
			continue
		}
		msg.Ack()
	}
}

package natsq

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// directBatch asks any server of a stream for several messages at once. more is false
// when each has returned false, or where there are none. NATS: ADR-31, "JetStream Direct
// Get".
func (c *Conn) directBatch(ctx context.Context, stream string, question any, each func(*nats.Msg) bool) (more bool, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return false, err
	}
	defer sub.Unsubscribe()
	if err := c.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return false, err
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return false, err
		}
		switch status := msg.Header.Get("Status"); {
		case status == "204":
			return true, nil
		case status == "404":
			return false, nil
		case status != "":
			return false, fmt.Errorf("%s answered %s", titleOf(stream), status)
		case len(msg.Header) == 0:
			return false, nats.ErrNoResponders
		}
		if !each(msg) {
			return false, nil
		}
	}
}

// placeOf reads the sequence and the time of a message that came by itself.
func placeOf(msg *nats.Msg) (sequence uint64, stored time.Time, err error) {
	if sequence, err = strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return 0, stored, fmt.Errorf("a sequence: %w", err)
	}
	if stored, err = time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp")); err != nil {
		return 0, stored, fmt.Errorf("a time: %w", err)
	}
	return sequence, stored, nil
}

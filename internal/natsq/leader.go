package natsq

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leaderGet asks the leader of a stream for one message: the newest of a
// subject, or that of a sequence.
// NATS: "JetStream wire API", STREAM.MSG.GET.
type leaderGet struct {
	LastOf   string `json:"last_by_subj,omitempty"`
	Sequence uint64 `json:"seq,omitempty"`
}

// fromLeader reads a message as the stream's leader has it. The library asks any
// replica where the stream allows that, as every bucket does, and one that lags
// answers with what was. No such message is jetstream.ErrMsgNotFound.
func (c *Conn) fromLeader(ctx context.Context, stream string, get leaderGet) (*jetstream.RawStreamMsg, error) {
	body, err := json.Marshal(get)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	reply, err := c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return nil, fmt.Errorf("reading from the stream %s: %w", stream, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("reading from the stream %s: %w", stream, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("reading from the stream %s: %w", stream, answer.Error)
	}
	if answer.Message == nil {
		return nil, fmt.Errorf("reading from the stream %s: %w", stream, jetstream.ErrMsgNotFound)
	}
	m := answer.Message
	msg := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		if msg.Header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return nil, fmt.Errorf("reading the headers of a message of the stream %s: %w", stream, err)
		}
	}
	return msg, nil
}

package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leaderGet asks the leader of a stream for one message: the newest of a
// subject, that of a sequence, or the first of a subject from a sequence or a time on.
// NATS: "JetStream wire API", STREAM.MSG.GET.
type leaderGet struct {
	Since    *time.Time `json:"start_time,omitempty"`
	LastOf   string     `json:"last_by_subj,omitempty"`
	NextOf   string     `json:"next_by_subj,omitempty"`
	Sequence uint64     `json:"seq,omitempty"`
}

// fromLeader reads a message as the stream's leader has it. The library asks any
// replica where the stream allows that, as every bucket does, and one that lags
// answers with what was. No such message is jetstream.ErrMsgNotFound, also where none is
// asked for: sequences begin at 1, and the record that stands for a forgotten job has 0.
func (c *Conn) fromLeader(ctx context.Context, stream string, get leaderGet) (*jetstream.RawStreamMsg, error) {
	if get == (leaderGet{}) {
		return nil, jetstream.ErrMsgNotFound
	}
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

// removeStored deletes the message of a sequence that was stored at a time. nil
// means that it is gone, whoever removed it; in a stream that was made anew the
// sequence is another's, which stays.
func (c *Conn) removeStored(ctx context.Context, stream string, sequence uint64, stored time.Time) error {
	msg, err := c.fromLeader(ctx, stream, leaderGet{Sequence: sequence})
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && !msg.Time.Equal(stored) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("removing from the stream %s: %w", stream, err)
	}
	if err := s.DeleteMsg(ctx, sequence); err != nil {
		return fmt.Errorf("removing from the stream %s: %w", stream, err)
	}
	return nil
}

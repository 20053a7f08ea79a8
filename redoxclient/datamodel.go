package redoxclient

import "context"

// DataModelRequest is one message of the Data Model API. The message itself
// names its source (Meta.Source.ID) and destinations (Meta.Destinations).
type DataModelRequest struct {
	// Destination names whom the message is for, in any way that is the same each
	// time. Only Config.Throttle is told; the message says where it goes.
	Destination string
	// Body is the JSON message. Redox documents a limit of 40 MB a request.
	Body Body
}

// SendDataModel posts one Data Model message. Its outcomes are those of Send:
// a Receipt means that Redox has durably queued the message, and only an *Error
// of the kind UnknownOutcome leaves open whether it has. The Receipt's LogIDs
// are Meta.Logs[].ID, one a destination (Redox docs, Data Model API).
//
// What Redox says of a failure, Meta.Errors, errorDetail or plain text, may
// quote the message, so that only the errors' IDs are passed on.
func (c *Client) SendDataModel(ctx context.Context, r DataModelRequest) (*Receipt, error) {
	header, err := requestHeader("", "application/json", r.Body)
	if err != nil {
		return nil, invalid(OpSendDataModel, err)
	}
	return c.post(ctx, call{op: OpSendDataModel, url: c.endpoint("endpoint"), header: header, body: r.Body, destination: r.Destination})
}

package schemas

import (
	"errors"
	"strings"
)

// JobKey names a job within a deployment: the destination of the lane that it was
// published to, and its id. Two publishers that may not write to each other's
// destinations cannot use up each other's ids. The class is no part of it: the
// same id, live and in a backfill, is the same job.
type JobKey struct {
	// Destination is the address of the lane, not what the job itself says.
	Destination, ID string
}

// KeyOf is the key of a job that was published to a lane.
func KeyOf(lane Lane, id string) JobKey { return JobKey{lane.Destination, id} }

// Key is the job's where it is published to the lane of its own destination.
func (j Job) Key() JobKey { return JobKey{j.Destination.Address(), j.ID} }

// String is "<destination>/<id>". Neither part holds a slash.
func (k JobKey) String() string { return k.Destination + "/" + k.ID }

// Tokens are two subject tokens, "<destination>.<id>", and a key of the ledger.
// The id is a token as it stands.
func (k JobKey) Tokens() string { return Token(k.Destination) + "." + k.ID }

var errJobKey = errors.New("a job is named by its id, or by <destination>/<id>")

// ParseJobKey reads what String writes. An id alone gives a key without a
// destination.
func ParseJobKey(text string) (JobKey, error) {
	destination, id, both := strings.Cut(text, "/")
	if !both {
		destination, id = "", text
	}
	if !ValidJobID(id) || both && !ValidAddress(destination) {
		return JobKey{}, errJobKey
	}
	return JobKey{destination, id}, nil
}

// ParseJobTokens reads what Tokens writes.
func ParseJobTokens(tokens string) (JobKey, error) {
	token, id, _ := strings.Cut(tokens, ".")
	destination, err := ParseToken(token)
	if err != nil {
		return JobKey{}, err
	}
	if !ValidJobID(id) {
		return JobKey{}, errJobKey
	}
	return JobKey{destination, id}, nil
}

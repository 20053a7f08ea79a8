package natsq

import (
	"strconv"
	"strings"

	"github.com/chartpost/chartpost/schemas"
)

// Name is the id of the job. Where none could be read it is the name that the event of
// the message gives it, which has the sequence of its copy in the jobs stream. It is
// empty where the letter has no headers.
func (l Letter) Name() string {
	if l.JobID != "" {
		return l.JobID
	}
	rest, ok := strings.CutPrefix(l.Key, "dead/")
	number, _, found := strings.Cut(rest, "/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || !found || err != nil {
		return ""
	}
	return schemas.UnreadableID(sequence)
}

// Named is the job under the name that Name gives.
func (l Letter) Named() schemas.JobKey { return schemas.KeyOf(l.Lane, l.Name()) }

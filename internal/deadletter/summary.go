package deadletter

import (
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Summary is a dead letter in JSON, without what is in its job.
type Summary struct {
	Sequence          uint64          `json:"sequence"`
	Buried            time.Time       `json:"buried"`
	JobID             string          `json:"job_id,omitempty"`
	After             string          `json:"after,omitempty"`
	Class             schemas.Class   `json:"class"`
	Destination       string          `json:"destination"`
	Status            schemas.Status  `json:"status,omitempty"`
	Reason            *schemas.Reason `json:"reason,omitempty"`
	PossibleDuplicate bool            `json:"possible_duplicate"`
	Size              int             `json:"size"`
}

// Summarize makes the summary of a letter.
func Summarize(l natsq.Letter) Summary {
	s := Summary{l.Sequence, l.Buried, l.JobID, l.After, l.Lane.Class, l.Lane.Destination, l.Status, nil, l.PossibleDuplicate, l.Size}
	if l.Reason.Code != "" {
		s.Reason = &l.Reason
	}
	return s
}

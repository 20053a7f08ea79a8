package deadletter

import (
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Summary is a dead letter in JSON, without what is in its job.
type Summary struct {
	Sequence uint64    `json:"sequence"`
	Buried   time.Time `json:"buried"`
	// JobID is the name that the event gives, where no id could be read.
	JobID             string          `json:"job_id,omitempty"`
	After             string          `json:"after,omitempty"`
	Class             schemas.Class   `json:"class"`
	Destination       string          `json:"destination"`
	Status            schemas.Status  `json:"status,omitempty"`
	Reason            *schemas.Reason `json:"reason,omitempty"`
	PossibleDuplicate bool            `json:"possible_duplicate"`
	Size              int             `json:"size"`
	// AcceptedSince says that the job was accepted after the letter was written.
	AcceptedSince bool `json:"accepted_since,omitempty"`
}

// Summarize makes the summary of a letter.
func Summarize(l natsq.Letter) Summary {
	s := Summary{
		Sequence: l.Sequence, Buried: l.Buried, JobID: l.Name(), After: l.After, Class: l.Lane.Class, Destination: l.Lane.Destination,
		Status: l.Status, PossibleDuplicate: l.PossibleDuplicate, Size: l.Size,
	}
	if l.Reason.Code != "" {
		s.Reason = &l.Reason
	}
	return s
}

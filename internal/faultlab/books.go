package faultlab

import "time"

// Books are what one run left behind, each kind in the order in which it
// happened. All clocks are this machine's.
type Books struct {
	Jobs []Job
	// Posts are the messages that Redox took, Uploads the files.
	Posts    []Post
	Uploads  []Upload
	Requests []Request
	// Events and Revisions are the whole streams, Letters the dead letters.
	Events    []Event
	Revisions []Revision
	Letters   []Letter
	Harms     []Harm
	Exits     []Exit
	Spendings []Spending
	// LostAnswers counts the messages that Redox took and whose answer the lab
	// made unreadable, or gave too late.
	LostAnswers int
	// Rest is what the queue still held at the end, Left the jobs among it.
	Rest Rest
	Left []string
	// Leaks are the places where a canary was found.
	Leaks []string
}

// Job is what the lab published.
type Job struct {
	ID, Class, Destination, Transfer string
	// Files are the SHA-256 of its files, in order.
	Files []string
	Bytes int64
	// Tries is how often the publish was tried until NATS confirmed it.
	Tries     int
	Published time.Time
}

// Post is a message that Redox took.
type Post struct {
	Job, Destination, Bundle string
	Files                    []string
	// From is the worker that sent it.
	From        string
	Started, At time.Time
}

// Upload is a file that Redox took.
type Upload struct {
	Job               string
	Index             int
	From              string
	Started, Finished time.Time
}

// Request is any request at Redox.
type Request struct {
	From, Kind string
	Start, End time.Time
	// Status is 0 for one that was never answered.
	Status int
}

// Event is one CloudEvent. A repeat of the same ID is left out of the books.
type Event struct {
	ID, Job, Status, Reason string
	Attempt                 int
	PossibleDuplicate       bool
	// At is when the stream stored it.
	At time.Time
}

// Final tells whether the event ends its job.
func (e Event) Final() bool {
	switch e.Status {
	case "accepted", "failed", "unknown", "cancelled":
		return true
	}
	return false
}

// Revision is one state of a job's record in the ledger.
type Revision struct {
	Job, Phase, Owner string
	Sequence          uint64
	Attempt           int
	// Known tells of each file whether the record has its URL.
	Known             []bool
	PossibleDuplicate bool
	At                time.Time
}

// Letter is a dead letter.
type Letter struct {
	Job, Status, Code string
	At                time.Time
}

// Harm is one thing that was done to the world.
type Harm struct {
	At time.Time
	// What was done to Whom; a worker is called by its name in the ledger.
	What, Whom string
	// Answers is how many answers of Redox may have been lost by it at the most.
	Answers int
}

// What is done to workers in the middle of their work, and to the queue.
const (
	killed      = "kill -9"
	frozen      = "frozen"
	woken       = "woken"
	queueKilled = "nats kill -9"
	queueBack   = "nats back"
)

// Exit is how a worker process ended.
type Exit struct {
	Worker string
	At     time.Time
	// Asked is the signal that the lab had sent: "TERM", "KILL" or none.
	Asked string
	// Ready tells whether it had come to take jobs.
	Ready bool
	Code  int
	// Took is the time from the signal to the end.
	Took time.Duration
}

// Rest is what was left in the queue.
type Rest struct {
	// Messages counts all; Schedules those that are to bring jobs back, Leased
	// those delivered and not acknowledged, Pending those yet to be delivered.
	Messages, Schedules, Leased, Pending uint64
}

// Orphans counts the messages that nobody will ever be given: a server that was
// killed remembered their acknowledgement and forgot to remove them.
func (r Rest) Orphans() uint64 {
	known := r.Schedules + r.Leased + r.Pending
	return r.Messages - min(known, r.Messages)
}

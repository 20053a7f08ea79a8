package app

import (
	"crypto/rand"
	"os"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/worker"
)

// Delivery says how jobs are worked on.
type Delivery struct {
	Concurrency     int           `default:"16" help:"Jobs this worker has in hand at once."`
	LaneConcurrency int           `default:"8" help:"Jobs of one lane (class and destination) that all workers together have in hand."`
	EmbedLimit      int64         `default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds."`
	FileLimit       int64         `default:"30000000" help:"Largest file, in bytes."`
	OnUnknown       string        `default:"resend" enum:"resend,hold,evidence" help:"Of a message that Redox may or may not have: resend (three times at most, then hold), hold for a person, or evidence: hold, and outcome follow resends what Redox's logs do not show. After a 2xx it is always held."`
	RetryFirst      time.Duration `default:"30s" help:"Wait before the second attempt; it doubles with each further one."`
	RetryLongest    time.Duration `default:"1h" help:"Longest wait between two attempts."`
	Lease           time.Duration `default:"30s" help:"How long a worker may be silent about a job before another one takes it."`
	Grace           time.Duration `default:"25s" help:"How long jobs in hand may take after a signal to stop; where NATS does not answer then, the process ends ten seconds later."`
	Stall           time.Duration `default:"60s" help:"How long the bytes of a file or of an answer may stand still before the transfer is cut off. A read of the object store that hangs for half of it goes on over a new connection, at the same byte."`
	AnswerTimeout   time.Duration `default:"5m" help:"How long Redox may take to begin its answer. Redox itself gives up after a couple of minutes; what it took is unknown then."`
	Name            string        `name:"worker-name" placeholder:"NAME" help:"Name of this worker in logs and records; no two workers may share one; empty is the host name and six random characters."`
}

// Check reports every fault of the settings.
func (d Delivery) Check() error {
	var f faults
	positive := func(flag string, n int) {
		if n < 1 {
			f.add(flag, "must be at least 1")
		}
	}
	positive("concurrency", d.Concurrency)
	positive("lane-concurrency", d.LaneConcurrency)
	f.errors(d.CheckLimits())
	if d.Lease < 3*time.Second {
		f.add("lease", "must be at least 3s")
	}
	if d.RetryFirst < time.Second || d.RetryLongest < d.RetryFirst {
		f.add("retry-first", "must be at least 1s and at most --retry-longest")
	}
	if d.Grace < 0 {
		f.add("grace", "must not be negative")
	}
	if d.AnswerTimeout < time.Second {
		f.add("answer-timeout", "must be at least 1s")
	}
	if d.Stall < time.Second {
		f.add("stall", "must be at least 1s")
	}
	return f.join()
}

// CheckLimits reports every fault of the limits of size.
func (d Delivery) CheckLimits() error {
	var f faults
	if d.FileLimit < 1 {
		f.add("file-limit", "must be at least 1")
	}
	if d.EmbedLimit < 0 || d.EmbedLimit > d.FileLimit {
		f.add("embed-limit", "must be between 0 and --file-limit")
	}
	return f.join()
}

// OnUnknownEvidence is the --on-unknown by which a held job is sent again where Redox's
// logs do not show it.
const OnUnknownEvidence = "evidence"

func (d Delivery) settings(name, prefix string) worker.Settings {
	onUnknown := d.OnUnknown
	if onUnknown == OnUnknownEvidence {
		onUnknown = string(job.HoldUnknown)
	}
	return worker.Settings{
		Name: name, Prefix: prefix, Slots: d.Concurrency, LaneConcurrency: d.LaneConcurrency,
		Lease: d.Lease, Grace: d.Grace,
		Policy:  job.Policy{OnUnknown: job.OnUnknown(onUnknown), First: d.RetryFirst, Longest: d.RetryLongest, Unseen: job.UnseenFor, Deferrals: 4},
		Backoff: worker.Backoff{First: 2 * time.Second, Longest: 30 * time.Second},
	}
}

// WorkerName is the name that was set, or one that no other worker has.
func (d Delivery) WorkerName() string {
	if d.Name != "" {
		return d.Name
	}
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	// A process id does not do: in containers it is often 1.
	return host + "-" + strings.ToLower(rand.Text()[:6])
}

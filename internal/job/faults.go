package job

import (
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

const (
	codeExpired = "expired"
	// CodeRunCancelled is the code of a job whose backfill run was cancelled.
	CodeRunCancelled = "run_cancelled"
	// CodePredecessorOpen is the code of a job that waits for its predecessor.
	CodePredecessorOpen   = "predecessor_open"
	codePredecessorFailed = "predecessor_failed"
)

// RunCancelled is the fault of a job whose run an operator has cancelled.
func RunCancelled() *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: CodeRunCancelled,
		Text: "an operator has cancelled the backfill run of the job; its message was not sent"}
}

// Overdue is the fault of a job that was taken after its deadline. It names the member
// that set the deadline, and what the job waited for, if that is known.
func Overdue(asked schemas.Job, before *schemas.Reason) *fault.Fault {
	f := &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codeExpired, Path: "/expires_at",
		Text: "the job was taken after its expires_at, and not tried any more"}
	if asked.ExpiresAt.IsZero() {
		f.Path, f.Text = "/requested_at", "the job has no expires_at, so it expired 72 h after its requested_at; it was taken later, and not tried any more"
	}
	if before != nil {
		f.Text += "; the last reason was " + before.Code
	}
	return f
}

// mostAbandoned is how often a worker may end without a word while it has the job:
// what ends every worker that touches it must not go round for ever. JetStream's own
// count would do for that only if being given back did not count too.
const mostAbandoned = 10

// Abandonment is the fault of a job that workers keep dying on, nil for any other.
func (r *Record) Abandonment() *fault.Fault {
	if r.Abandoned <= mostAbandoned {
		return nil
	}
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "abandoned",
		Text: "worker after worker ended without a word while it had the job in hand; its message was not sent, and it is not tried any more"}
}

// CutOff is the fault of a job that a worker left while sending.
func CutOff() *fault.Fault {
	return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: "interrupted_while_sending",
		Text: "a worker stopped between sending the message and recording the answer"}
}

// predecessorOpen is the fault of a job whose predecessor has not been accepted yet.
func predecessorOpen(path string) *fault.Fault {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: CodePredecessorOpen, Path: path,
		Text: "the job that it comes after has not been accepted yet"}
}

// predecessorFailed is the fault of a job whose predecessor will not be accepted.
func predecessorFailed(path string, found *Record) *fault.Fault {
	text := "the ledger does not know the job that it comes after"
	if found != nil {
		text = "the job that it comes after ended as " + string(found.Phase.Status())
	}
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codePredecessorFailed, Path: path, Text: text + "; its message was not sent"}
}

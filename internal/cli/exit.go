// Package cli has what all commands share: settings and flags, where they read and
// write, confirmation, the connection to the queue, and exit codes.
package cli

// Exit codes, the same for every command.
const (
	ExitOK = 0
	// ExitFailed: the command could not do its work.
	ExitFailed = 1
	// ExitUsage: a flag, a setting or an input file is wrong; nothing was done.
	ExitUsage = 2
	// ExitNotAccepted: the job that was waited for ended otherwise.
	ExitNotAccepted = 3
	// ExitTimeout: the wait was over before the job had ended.
	ExitTimeout = 4
	// ExitNothing: what was named is not there.
	ExitNothing = 5
	// ExitPartly: some of it was done, and some was not.
	ExitPartly = 6
)

// Failure is an error with its exit code.
type Failure struct {
	Code int
	err  error
}

// Exit gives err its exit code.
func Exit(code int, err error) error { return &Failure{code, err} }

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// Usage is the error of a flag, a setting or an input file that is wrong; nil is none.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &Failure{ExitUsage, err}
}

package main

// Exit codes, the same for every command.
const (
	exitOK = 0
	// exitFailed: the command could not do its work.
	exitFailed = 1
	// exitUsage: a flag, a setting or an input file is wrong; nothing was done.
	exitUsage = 2
	// exitNotAccepted: the job that was waited for ended otherwise.
	exitNotAccepted = 3
	// exitTimeout: the wait was over before the job had ended.
	exitTimeout = 4
	// exitNothing: what was named is not there.
	exitNothing = 5
	// exitPartly: some of it was done, and some was not.
	exitPartly = 6
)

// failure is an error with its exit code.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitUsage, err}
}

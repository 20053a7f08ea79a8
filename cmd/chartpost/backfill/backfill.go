// Package backfill has the commands that deliver an archive.
package backfill

// Cmd has the commands for archives.
type Cmd struct {
	Plan   planCmd   `cmd:"" help:"Read a manifest, check every line, estimate the time; send nothing."`
	Run    runCmd    `cmd:"" help:"Start a run, or go on with one: feed its jobs to the queue and follow them to their end."`
	Status statusCmd `cmd:"" help:"Show how far a run is, or list the runs."`
	Pause  pauseCmd  `cmd:"" help:"Feed no more jobs of a run until it is resumed."`
	Resume resumeCmd `cmd:"" help:"End a run's pause."`
	Cancel cancelCmd `cmd:"" help:"End a run for good: none of its jobs is sent any more."`
	Report reportCmd `cmd:"" help:"Account for every line of a run."`
	Forget forgetCmd `cmd:"" help:"Remove the book of a run that has ended."`
}

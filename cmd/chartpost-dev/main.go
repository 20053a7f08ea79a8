// Command chartpost-dev is the whole world of Chartpost, to try it, to develop
// against it, and to test one's own code: NATS, a simulator of Redox and a worker
// in this process, and an S3 server over a folder as its child. Nothing of it
// belongs into production.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/stdlog"
)

// CLI is the whole command line.
type CLI struct {
	Up    upCmd    `cmd:"" default:"withargs" help:"Run everything, send the sample documents, show their events, and stay up. This is what happens without a command."`
	Redox redoxCmd `cmd:"" help:"Run the simulator of Redox alone."`
	S3    s3Cmd    `cmd:"" name:"s3" help:"Run the S3 server alone."`
}

const description = `NATS, an S3 server, a simulator of Redox and a worker, for trying and testing. Not for production.

Exit codes:

  0  done, or ended by a signal
  1  it could not be done, or with --once: a sample was not accepted
  2  a flag is wrong`

func main() {
	libraries := stdlog.Take()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, libraries))
}

// run gives the exit code: 0 done, 1 failed, 2 wrong usage. libraries is what
// becomes of the standard logger's texts, and may be nil.
func run(ctx context.Context, args []string, out, errs io.Writer, libraries *stdlog.Gag) int {
	libraries.Tell(slog.New(slog.NewTextHandler(errs, nil)))
	var cli CLI
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("chartpost-dev"),
		kong.Description(description),
		kong.Writers(out, errs),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
		kong.Bind(libraries),
	)
	if err != nil {
		fmt.Fprintln(errs, "chartpost-dev:", err)
		return 1
	}
	command, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		fail(errs, err)
		fmt.Fprintln(errs, "Run `chartpost-dev --help`, or a command with --help.")
		return 2
	}
	if err := command.Run(); err != nil {
		fail(errs, err)
		return 1
	}
	return 0
}

// fail tells every fault on a line of its own.
func fail(w io.Writer, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(w, "chartpost-dev:", line)
	}
}

// Command chartpost delivers files into patient charts through Redox. It is the
// worker and the commands of its operators in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/cmd/chartpost/outcome"
	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
)

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

// CLI is the whole command line. Each flag without the tag percall is also an environment
// variable (CHARTPOST_ and the flag's name in capitals) and a key of the YAML file.
type CLI struct {
	Config string   `short:"c" type:"path" placeholder:"FILE" help:"YAML file of settings; its keys are the names of the flags. A flag goes before its variable, the variable before the file."`
	Log    logFlags `embed:"" prefix:"log-"`

	Setup      setupCmd      `cmd:"" help:"Create or update the streams and buckets on NATS."`
	Worker     workerCmd     `cmd:"" help:"Deliver jobs until stopped."`
	Send       sendCmd       `cmd:"" help:"Publish one job and follow it to its end."`
	Status     jobStatusCmd  `cmd:"" help:"Tell all that is known of one job."`
	Watch      watchCmd      `cmd:"" help:"Print events as they come."`
	Events     eventsCmd     `cmd:"" help:"Export events, and say who may read them."`
	Backfill   backfillCmd   `cmd:"" help:"Deliver an archive: many jobs, made of a manifest."`
	Preview    previewCmd    `cmd:"" help:"Print the exact message of a job; send nothing."`
	Lane       laneCmd       `cmd:"" help:"See and hold the lanes."`
	Dead       deadCmd       `cmd:"" help:"See and resolve the dead letters."`
	Audit      auditCmd      `cmd:"" help:"See what operators did."`
	Outcome    outcome.Cmd   `cmd:"" help:"Follow what became of accepted messages (experimental)."`
	Check      checkCmd      `cmd:"" help:"Try the settings, NATS, S3 and Redox, one line each."`
	Schema     schemaCmd     `cmd:"" help:"Print a JSON Schema of the contract."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Names      namesCmd      `cmd:"" hidden:"" help:"Print names for the completion of a shell."`
}

// BeforeResolve is kong's hook between the command line and the other sources.
func (*CLI) BeforeResolve(k *kong.Context, s *settings) error {
	for _, f := range k.Model.Flags {
		if path, ok := k.FlagValue(f).(string); ok && f.Name == "config" {
			s.load(path, k.Model.Node)
		}
	}
	k.AddResolver(s)
	return nil
}

const description = `Delivers files from S3 into patient charts through Redox. Jobs arrive on NATS JetStream.

Exit codes:

  0  done
  1  it could not be done
  2  a flag, a setting or an input file is wrong; nothing was done
  3  the job ended without being accepted
  4  the wait for the job was over; the job goes on
  5  there is no such job or dead letter
  6  some of it was done, and some was not; the output says what`

func main() {
	libraries := stdlog.Take()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, inTerminal: show.IsTerminal(os.Stdin),
		outTerminal: show.IsTerminal(os.Stdout), errTerminal: show.IsTerminal(os.Stderr),
		libraries: libraries,
	}))
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// outTerminal and errTerminal tell that a person reads there, inTerminal that
	// one writes.
	outTerminal, errTerminal, inTerminal bool
	// libraries is what becomes of the standard logger's texts; nil is none of a
	// command's business, as in tests.
	libraries *stdlog.Gag
}

// guarded makes what others wrote visible where a terminal would obey it; a pipe or
// file gets every byte as it is. done shows what is left.
func (s streams) guarded() (guarded streams, done func()) {
	out, err := show.NewVisible(s.out), show.NewVisible(s.err)
	if s.outTerminal {
		s.out = out
	}
	if s.errTerminal {
		s.err = err
	}
	return s, func() { _, _ = out.Close(), err.Close() }
}

// fail tells every fault on a line of its own.
func (s streams) fail(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(s.err, "chartpost:", line)
	}
}

// newParser gives the parser of cli and the settings it fills it with.
func newParser(cli *CLI, options ...kong.Option) (*kong.Kong, *settings, error) {
	s := &settings{}
	parser, err := kong.New(cli, append([]kong.Option{
		kong.Name("chartpost"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(helpOf),
		kong.PostBuild(s.prepare),
		kong.Bind(s),
	}, options...)...)
	return parser, s, err
}

// helpOf is a flag's help with its variable, if it has one.
func helpOf(v *kong.Value) string {
	if v.Flag == nil || v.Name == "help" || perCall(v.Flag) {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " ($" + app.EnvironmentName(v.Name) + ")."
}

// noSettings reminds whoever forgot them.
func noSettings(config string) string {
	if config != "" || os.Getenv(app.EnvironmentName("config")) != "" {
		return ""
	}
	return " No file of settings was read: see --config, or " + app.EnvironmentName("config") + "."
}

// checker is a command that can tell what is wrong with its settings before
// anything is done.
type checker interface {
	check(k *kong.Context) error
}

// defect tells of a panic by the type of its value and where it was: the value
// may be about a patient.
func (s streams) defect(value any) {
	fmt.Fprintf(s.err, "chartpost: a defect (a panic with a %T). It holds no patient data; please report it:\n%s", value, debug.Stack())
}

// run parses and executes one command line and gives its exit code.
func run(ctx context.Context, args []string, std streams) (code int) {
	defer func() {
		if value := recover(); value != nil {
			std.defect(value)
			code = exitFailed
		}
	}()
	std, done := std.guarded()
	defer done()
	var cli CLI
	exited := -1
	parser, settings, err := newParser(&cli,
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.Bind(outcome.Host{Out: std.out, Err: std.err, Log: func() *slog.Logger { return cli.Log.logger(std) }}),
	)
	if err != nil {
		std.fail(err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	faults := append(settings.faults, surplus(err, args))
	if err == nil && !settings.unread {
		switch c := command.Selected().Target.Addr().Interface().(type) {
		case checker:
			faults = append(faults, c.check(command))
		case interface{ Check(*kong.Context) error }: // of a package of its own
			faults = append(faults, c.Check(command))
		}
	}
	if err := errors.Join(faults...); err != nil {
		std.fail(err)
		fmt.Fprintln(std.err, "Run `chartpost --help`, or a command with --help."+noSettings(cli.Config))
		return exitUsage
	}
	if err := command.Run(parser); err != nil {
		std.fail(err)
		if f, ok := errors.AsType[*failure](err); ok {
			return f.code
		}
		return exitFailed
	}
	return exitOK
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
)

// Globals are the flags that every command has.
type Globals struct {
	Config string   `short:"c" type:"path" placeholder:"FILE" help:"YAML file of settings; its keys are the names of the flags. A flag goes before its variable, the variable before the file."`
	Log    logFlags `embed:"" prefix:"log-"`
}

// Logger is the process's log, as the flags want it.
func (g *Globals) Logger(std Streams) *slog.Logger { return g.Log.logger(std) }

// CommandLine is a program and its flags: Grammar is a pointer to a struct in
// the manner of kong, of which Globals are a part.
type CommandLine struct {
	Name, Description string
	Grammar           any
	Globals           *Globals
}

// Parser gives the parser of the command line and the settings it fills it with.
// Options come before its own.
func (p CommandLine) Parser(options ...kong.Option) (*kong.Kong, *Settings, error) {
	s := &Settings{}
	parser, err := kong.New(p.Grammar, append(options,
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(helpOf),
		kong.PostBuild(s.prepare),
		kong.WithBeforeResolve(s.loadNamed),
		kong.Bind(p.Globals),
	)...)
	return parser, s, err
}

// helpOf is a flag's help with its variable, if it has one.
func helpOf(v *kong.Value) string {
	if v.Flag == nil || v.Name == "help" || PerCall(v.Flag) {
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
	Check(k *kong.Context) error
}

// Run parses and executes one command line and gives its exit code.
func (p CommandLine) Run(ctx context.Context, args []string, std Streams) (code int) {
	defer func() {
		if value := recover(); value != nil {
			std.defect(value)
			code = ExitFailed
		}
	}()
	std, done := std.guarded()
	defer done()
	exited := -1
	parser, settings, err := p.Parser(
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		std.fail(err)
		return ExitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	faults := append(settings.Faults, surplus(err, args))
	if err == nil && !settings.unread {
		if c, ok := command.Selected().Target.Addr().Interface().(checker); ok {
			faults = append(faults, further(faults, c.Check(command))...)
		}
	}
	if err := errors.Join(faults...); err != nil {
		std.fail(err)
		fmt.Fprintln(std.Err, "Run `chartpost --help`, or a command with --help."+noSettings(p.Globals.Config))
		return ExitUsage
	}
	if err := command.Run(parser); err != nil {
		std.fail(err)
		if f, ok := errors.AsType[*Failure](err); ok {
			return f.Code
		}
		return ExitFailed
	}
	return ExitOK
}

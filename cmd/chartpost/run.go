package main

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

// globals are the flags that every command has.
type globals struct {
	Config string   `short:"c" type:"path" placeholder:"FILE" help:"YAML file of settings; its keys are the names of the flags. A flag goes before its variable, the variable before the file."`
	Log    logFlags `embed:"" prefix:"log-"`
}

// logger is the process's log, as the flags want it.
func (g *globals) logger(std streams) *slog.Logger { return g.Log.logger(std) }

// commandLine is a program and its flags: the grammar is a struct in the manner of kong that embeds globals.
type commandLine struct {
	name, description string
	grammar           any
	globals           *globals
}

// parser gives the parser of the command line and the settings it fills it with.
// Options come before its own.
func (p commandLine) parser(options ...kong.Option) (*kong.Kong, *settings, error) {
	s := &settings{}
	parser, err := kong.New(p.grammar, append(options,
		kong.Name(p.name),
		kong.Description(p.description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(helpOf),
		kong.PostBuild(s.prepare),
		kong.WithBeforeResolve(s.loadNamed),
		kong.Bind(p.globals),
	)...)
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
	Check(k *kong.Context) error
}

// run parses and executes one command line and gives its exit code.
func (p commandLine) run(ctx context.Context, args []string, std streams) (code int) {
	defer func() {
		if value := recover(); value != nil {
			std.defect(value)
			code = exitFailed
		}
	}()
	std, done := std.guarded()
	defer done()
	exited := -1
	parser, settings, err := p.parser(
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
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
		if c, ok := command.Selected().Target.Addr().Interface().(checker); ok {
			faults = append(faults, c.Check(command))
		}
	}
	if err := errors.Join(faults...); err != nil {
		std.fail(err)
		fmt.Fprintln(std.err, "Run `chartpost --help`, or a command with --help."+noSettings(p.globals.Config))
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

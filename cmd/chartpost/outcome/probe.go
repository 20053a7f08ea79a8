package outcome

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/redoxclient/platform"
)

type probeCmd struct {
	Redox   app.RedoxLogs `embed:"" prefix:"redox-" group:"Redox"`
	Outcome app.Outcome   `embed:"" prefix:"outcome-" group:"Outcomes"`
	LogID   string        `placeholder:"ID" help:"A log to read by its id, for instance from an accepted event; empty takes one that the search finds." group:"Outcomes" percall:""`
	JSON    bool          `name:"json" help:"Print JSON, one call a line." group:"Output"`
}

// Help adds to the command's --help.
func (probeCmd) Help() string {
	return `Makes each call once: a token, the list of environments, a search in each data mode, and one log. It makes up to eight requests, changes nothing at Redox, and shows no name and no text of an answer.

Exit code 1 when a call that following outcomes needs did not work.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *probeCmd) Check(*kong.Context) error {
	return errors.Join(c.Outcome.Check(), c.Redox.Redox().CheckLogs())
}

// call is what was tried and what came of it.
type call struct {
	Call string `json:"call"`
	Held bool   `json:"held"`
	Saw  string `json:"saw"`
	// Do is what to set or to ask Redox for.
	Do string `json:"do,omitempty"`
}

// Run executes the command.
func (c *probeCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	p := &probe{redox: c.Redox.Redox(), settings: c.Outcome, diagnostics: globals.Logger(std), log: c.LogID}
	if err := p.run(ctx); err != nil {
		return err
	}
	missed := 0
	rows := make([][]string, 0, len(p.calls))
	for _, done := range p.calls {
		result := "held"
		if !done.Held {
			result, missed = "MISSED", missed+1
		}
		rows = append(rows, []string{done.Call, result, done.Saw, done.Do})
		if c.JSON {
			if err := cli.JSONLines(std.Out).Encode(done); err != nil {
				return err
			}
		}
	}
	if !c.JSON {
		if err := show.Table(std.Out, []string{"CALL", "ASSUMPTION", "SEEN", "TO DO"}, rows); err != nil {
			return err
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d assumptions did not hold", missed, len(p.calls))
	}
	return nil
}

// probe is one run of the command.
type probe struct {
	redox       app.Redox
	settings    app.Outcome
	diagnostics *slog.Logger
	log         string
	calls       []call
}

func (p *probe) note(name string, err error, saw, do string) {
	if err != nil {
		saw = err.Error()
		if e, ok := errors.AsType[*platform.Error](err); ok {
			do = advice(e)
		}
	}
	p.calls = append(p.calls, call{Call: name, Held: err == nil, Saw: saw, Do: do})
}

// advice is what a person can do about an error.
func advice(e *platform.Error) string {
	switch {
	case e.Code == platform.CodeToken:
		return "check --outcome-client-id, --outcome-key-file and --outcome-key-id"
	case e.Kind == platform.Refused:
		return "use a user-level key whose user has a role in the environment"
	case e.Kind == platform.NotFound:
		return "check --outcome-organization and --outcome-environment-id"
	case e.Kind == platform.Invalid:
		return "set --outcome-region if the environment has several"
	case e.Kind == platform.Unreadable:
		return "the answer has another form than was assumed: report it"
	}
	return "try again"
}

func (p *probe) run(ctx context.Context) error {
	if err := p.environments(ctx); err != nil {
		return err
	}
	client, err := app.PlatformClient(p.redox, p.settings, nil, p.diagnostics)
	if err != nil {
		return err
	}
	defer client.Close()
	var sample platform.Log
	for _, mode := range platform.Modes() {
		if log, found := p.search(ctx, client, mode); found {
			sample = log
		}
	}
	if p.log != "" {
		sample.ID = p.log
	}
	if sample.ID == "" {
		p.calls = append(p.calls, call{Call: "log by id", Saw: "no log was found to read", Do: "give one by --log-id"})
		return nil
	}
	log, err := client.Log(ctx, sample.ID)
	p.note("log by id", err, fmt.Sprintf("status %s, %d attempts", log.Word, log.Attempts), unknownWord(log))
	return nil
}

func unknownWord(log platform.Log) string {
	if log.Status == platform.Unknown && log.Word != "" {
		return "the status is not known here: report it"
	}
	return ""
}

func (p *probe) environments(ctx context.Context) error {
	client, err := app.PlatformClient(p.redox, p.settings, nil, p.diagnostics)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Environments(ctx)
	var flags []string
	for _, e := range all {
		flags = append(flags, e.Flag)
		if e.Flag == p.redox.Environment && p.settings.Environment == "" {
			p.settings.Environment = e.ID
		}
	}
	do := ""
	if err == nil && p.settings.Environment == "" {
		do = "the user has no role in an environment of that kind"
	} else if err == nil {
		do = "--outcome-environment-id " + p.settings.Environment
	}
	p.note("environments", err, strings.Join(flags, ", "), do)
	return nil
}

// search looks at the last hour, one page or more, and gives a log.
func (p *probe) search(ctx context.Context, client *platform.Client, mode platform.Mode) (sample platform.Log, found bool) {
	since := time.Now().Add(-time.Hour)
	n, outside, words := 0, 0, map[string]bool{}
	err := client.Search(ctx, platform.Query{UpdatedAfter: since, SourceID: p.redox.SourceID, Mode: mode}, func(log platform.Log) bool {
		n++
		if !log.UpdatedAt.IsZero() && log.UpdatedAt.Before(since.Add(-time.Second)) {
			outside++
		}
		words[log.Word] = true
		sample, found = log, true
		return n < 2*platform.PageSize
	})
	do := ""
	if outside > 0 && err == nil {
		err = errors.New("the search does not keep to updatedAfter")
		do = "do not follow outcomes before this is understood"
	}
	p.note("search, "+string(mode), err, fmt.Sprintf("%d logs of the last hour", n), do)
	return sample, found
}

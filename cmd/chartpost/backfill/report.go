package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
)

type reportCmd struct {
	Name          string `arg:"" help:"Name of the run."`
	manifestFlags `embed:"" group:"Manifest"`

	Out        string `type:"path" placeholder:"FILE" help:"File for the rows, or - for standard output. It needs the manifest." group:"Output" percall:""`
	Lines      int    `default:"20" help:"Lines to list that were not accepted, where there is no --out." group:"Output" percall:""`
	Force      bool   `help:"Write over the file of --out if it is there." group:"Output" percall:""`
	OutFormat  string `default:"auto" enum:"auto,csv,ndjson" placeholder:"auto" help:"csv, ndjson, or auto: NDJSON where the name of --out ends in json, else CSV." group:"Output"`
	JSON       bool   `name:"json" help:"Print the sums as JSON." group:"Output"`
	AnyOutcome bool   `help:"Exit with code 0 whatever the outcomes are." group:"Output" percall:""`

	Message app.Message `embed:"" group:"Message"`
	NATS    app.NATS    `embed:"" group:"NATS"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (reportCmd) Help() string {
	return `Examples:

  chartpost backfill report y2019
  chartpost backfill report y2019 archive.csv --template template.yaml \
      --out report.csv

The first prints the sums, the reasons, and the first lines that were not accepted, from the run's own records. The second writes the whole report.

One row for each line of the run: accepted, duplicate (accepted before the run), failed, unknown, cancelled or pending, with the reason, the receipt, and the size and SHA-256 of the files. Where outcomes are followed, the last column is what Redox's logs told of the message (docs/outcomes.md). The sums go to standard output, or to standard error where the rows are there, with the digests of manifest, template and report. A file that is there is written over with --force alone: a run of --only-failed goes on with the very report that it began with. Nothing in it is patient data, as long as job ids are not.

It needs the manifest and the template as they were when the run began; how they are read it knows from the run. Exit code 0 when every line was accepted, 3 when one was not.`
}

func (c *reportCmd) Check(*kong.Context) error {
	var input error
	switch {
	case c.Out != "":
		input = errors.Join(c.manifestFlags.check(), c.free())
	case c.Manifest != "" || c.Template != "":
		input = errors.New("--out FILE is required beside a manifest; without both the run's own records are shown")
	case c.Lines < 0:
		input = errors.New("--lines must not be negative")
	}
	return errors.Join(checkRunName(c.Name), input, c.Message.Check(), c.NATS.Check(), c.S3.Check())
}

// free reports whether the file of --out may be written.
func (c *reportCmd) free() error {
	there, err := os.Stat(c.Out)
	if c.Out == "-" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--out: %w", cli.Cause(err))
	}
	for _, input := range []string{c.Manifest, c.Template} {
		if about, err := os.Stat(input); err == nil && os.SameFile(about, there) {
			return errors.New("--out: is the manifest or the template")
		}
	}
	if !c.Force {
		return fmt.Errorf("--out: %w; see --force", fs.ErrExist)
	}
	return nil
}

func (c *reportCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(runHeap))
	desk, err := openDesk(ctx, c.NATS, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	run, _, err := backfill.LoadRun(ctx, desk.runs, c.Name)
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Name, err)
	}
	if c.Out == "" {
		return c.brief(ctx, std, desk, run)
	}
	summary, err := c.full(ctx, std, desk, run)
	if err != nil {
		return err
	}
	sums := std.Out
	if c.Out == "-" {
		sums = std.Err
	}
	if err := c.print(sums, summary); err != nil {
		return err
	}
	return c.judge(summary.Tally)
}

// judge is the exit code.
func (c *reportCmd) judge(t backfill.Tally) error {
	if c.AnyOutcome || t.Good() {
		return nil
	}
	return cli.Exit(cli.ExitNotAccepted, fmt.Errorf("%d of %d lines were not accepted", t.Lines-t.Counts[backfill.OutcomeAccepted]-t.Counts[backfill.OutcomeDuplicate], t.Lines))
}

// full writes the whole report.
func (c *reportCmd) full(ctx context.Context, std cli.Streams, desk *desk, run backfill.Run) (summary backfill.Summary, err error) {
	m, err := c.manifestFlags.stored(ctx, c.S3, c.Message, run.Reading)
	if err != nil {
		return summary, err
	}
	defer m.Close()
	m.run, m.whole, m.onlySource = run.StartedAt, run.Faulty > 0 && !run.Reading.Quick, run.Only
	if err := m.same(run, &planning.Plan{Manifest: run.Manifest, Lines: run.Lines, Faulty: run.Faulty}); err != nil {
		return summary, cli.Usage(err)
	}
	summary, err = c.write(ctx, std, desk, m, run)
	if errors.Is(err, backfill.ErrManifest) || errors.Is(err, backfill.ErrUnbalanced) {
		return summary, cli.Usage(err)
	}
	if err != nil {
		return summary, c.unreadable(err)
	}
	return summary, nil
}

func (c *reportCmd) print(out io.Writer, s backfill.Summary) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	w := show.NewTabs(out)
	printSummary(w, s)
	return w.Flush()
}

func printSummary(w io.Writer, s backfill.Summary) {
	fmt.Fprintf(w, "run\t%s\t%s\n", s.Run, s.State)
	printSource(w, "manifest", &s.Manifest)
	printSource(w, "template", s.Template)
	printSource(w, "only-failed", s.Only)
	printSource(w, "report", s.Report)
	fmt.Fprint(w, "\nOUTCOME\tLINES\n")
	for _, outcome := range backfill.Outcomes() {
		fmt.Fprintf(w, "%s\t%d\n", outcome, s.Counts[outcome])
	}
	fmt.Fprintf(w, "all\t%d\n", s.Lines)
}

func printSource(w io.Writer, what string, s *backfill.Source) {
	if s != nil {
		fmt.Fprintf(w, "%s\t%d bytes\tsha256 %s\n", what, s.Size, s.SHA256)
	}
}

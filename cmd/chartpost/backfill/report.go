package backfill

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/report"
	"github.com/chartpost/chartpost/internal/backfill/status"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
)

type reportCmd struct {
	Name          string `arg:"" help:"Name of the run."`
	manifestFlags `embed:"" group:"Manifest"`

	Out        string `required:"" type:"path" placeholder:"FILE" help:"File for the rows, or - for standard output. Required." group:"Output" percall:""`
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
	return `Example:

  chartpost backfill report y2019 archive.csv --template template.yaml \
      --out report.csv

One row for each line of the run: accepted, duplicate (accepted before the run), failed, unknown, cancelled or pending, with the reason, the receipt, and the size and SHA-256 of the files. The sums go to standard output, or to standard error where the rows are there, with the digests of manifest, template and report. A file that is there is written over with --force alone: a run of --only-failed goes on with the very report that it began with. Nothing in it is patient data, as long as job ids are not.

It needs the manifest and the template as they were when the run began. Exit code 0 when every line was accepted, 3 when one was not.`
}

func (c *reportCmd) Check(*kong.Context) error {
	return errors.Join(checkRunName(c.Name), c.manifestFlags.check(), c.free(), c.Message.Check(), c.NATS.Check(), c.S3.Check())
}

// free tells whether the file of --out may be written.
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
	m, err := c.manifestFlags.stored(ctx, c.S3, c.Message)
	if err != nil {
		return err
	}
	defer m.Close()
	m.run, m.whole, m.onlySource = run.StartedAt, run.Faulty > 0 && !run.Quick, run.Only
	if err := m.same(run, &backfill.Plan{Manifest: run.Manifest, Lines: run.Lines, Faulty: run.Faulty}, "; take what the run began with"); err != nil {
		return cli.Usage(err)
	}
	summary, err := c.write(ctx, std, desk, m, run)
	if errors.Is(err, backfill.ErrManifest) || errors.Is(err, backfill.ErrUnbalanced) {
		return cli.Usage(err)
	}
	if err != nil {
		return c.unreadable(err)
	}
	sums := std.Out
	if c.Out == "-" {
		sums = std.Err
	}
	if err := c.print(sums, summary); err != nil {
		return err
	}
	if c.AnyOutcome || summary.Good() {
		return nil
	}
	return cli.Exit(cli.ExitNotAccepted, fmt.Errorf("%d of %d lines were not accepted", summary.Lines-summary.Counts[backfill.OutcomeAccepted]-summary.Counts[backfill.OutcomeDuplicate], summary.Lines))
}

// write makes the file whole before it takes its name.
func (c *reportCmd) write(ctx context.Context, std cli.Streams, desk *desk, m *storedManifest, run backfill.Run) (s backfill.Summary, err error) {
	if c.Out == "-" {
		return c.account(ctx, std.Out, desk, m, run)
	}
	file, err := os.CreateTemp(filepath.Dir(c.Out), ".chartpost-report-*")
	if err != nil {
		return s, fmt.Errorf("--out: %w", cli.Cause(err))
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if s, err = c.account(ctx, file, desk, m, run); err != nil {
		return s, err
	}
	if err = file.Sync(); err == nil {
		err = file.Close()
	}
	if err != nil {
		return s, fmt.Errorf("--out: %w", cli.Cause(err))
	}
	if err := c.free(); err != nil { // it may have taken long
		return s, cli.Usage(err)
	}
	if err := os.Rename(file.Name(), c.Out); err != nil {
		return s, fmt.Errorf("--out: %w", cli.Cause(err))
	}
	return s, nil
}

// outFile is where --out goes; its errors say so.
type outFile struct{ io.Writer }

func (o outFile) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("--out: %w", cli.Cause(err))
	}
	return n, err
}

// account writes the rows, and sums them up.
func (c *reportCmd) account(ctx context.Context, out io.Writer, desk *desk, m *storedManifest, run backfill.Run) (s backfill.Summary, err error) {
	sum := sha256.New()
	size := &counter{}
	buffered := bufio.NewWriterSize(io.MultiWriter(outFile{out}, sum, size), 64<<10)
	each, end := report.Rows(buffered, c.OutFormat == "ndjson" || c.OutFormat == "auto" && strings.HasSuffix(c.Out, "json"))
	account := backfill.Account{
		Ports: backfill.Ports{Bucket: desk.runs, Ledger: desk.queue.RunLedger(), Events: desk.queue.RunEvents()},
		Run:   run, Open: m.Open, Goroutines: runtime.GOMAXPROCS(0),
	}
	tally, err := account.Write(ctx, each)
	if err == nil {
		err = end()
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return s, err
	}
	return backfill.Summary{
		Run: run.ID, State: run.State, Manifest: run.Manifest, Template: run.Template, Only: run.Only, Tally: tally,
		Report: backfill.Source{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size.n},
	}, nil
}

// counter counts bytes.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func (c *reportCmd) print(out io.Writer, s backfill.Summary) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	w := show.NewTabs(out)
	fmt.Fprintf(w, "run\t%s\t%s\n", s.Run, status.Status{RunFields: backfill.RunFields{State: s.State}, Progress: s.Tally}.Word())
	fmt.Fprintf(w, "manifest\t%d bytes\tsha256 %s\n", s.Manifest.Size, s.Manifest.SHA256)
	if s.Template != nil {
		fmt.Fprintf(w, "template\t%d bytes\tsha256 %s\n", s.Template.Size, s.Template.SHA256)
	}
	if s.Only != nil {
		fmt.Fprintf(w, "only-failed\t%d bytes\tsha256 %s\n", s.Only.Size, s.Only.SHA256)
	}
	fmt.Fprintf(w, "report\t%d bytes\tsha256 %s\n\nOUTCOME\tLINES\n", s.Report.Size, s.Report.SHA256)
	for _, outcome := range backfill.Outcomes() {
		fmt.Fprintf(w, "%s\t%d\n", outcome, s.Counts[outcome])
	}
	fmt.Fprintf(w, "all\t%d\n", s.Lines)
	return w.Flush()
}

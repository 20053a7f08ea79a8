package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
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
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/cmd/chartpost/outcome"
	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
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

One row for each line of the run: accepted, duplicate (accepted before the run), failed, unknown, cancelled or pending, with the reason, the receipt, and the size and SHA-256 of the files. Where outcomes are followed, the last column is what Redox's logs told of the message (docs/outcomes.md). The sums go to standard output, or to standard error where the rows are there, with the digests of manifest, template and report. A file that is there is written over with --force alone: a run of --only-failed goes on with the very report that it began with. Nothing in it is patient data, as long as job ids are not.

It needs the manifest and the template as they were when the run began. Exit code 0 when every line was accepted, 3 when one was not.`
}

func (c *reportCmd) check(*kong.Context) error {
	return errors.Join(checkRunName(c.Name), c.manifestFlags.check(), c.free(), c.Message.Check(), c.NATS.Check(), c.S3.Check())
}

// free tells whether the file of --out may be written.
func (c *reportCmd) free() error {
	there, err := os.Stat(c.Out)
	if c.Out == "-" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--out: %w", cause(err))
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

func (c *reportCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(runHeap))
	desk, err := openDesk(ctx, c.NATS, cli.Log.logger(std))
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
	if err := m.same(run, &backfill.Plan{Manifest: run.Manifest, Lines: run.Lines, Faulty: run.Faulty}); err != nil {
		return usage(err)
	}
	summary, err := c.write(ctx, std, desk, m, run)
	if errors.Is(err, backfill.ErrManifest) || errors.Is(err, backfill.ErrUnbalanced) {
		return usage(err)
	}
	if err != nil {
		return c.unreadable(err)
	}
	sums := std.out
	if c.Out == "-" {
		sums = std.err
	}
	if err := c.print(sums, summary); err != nil {
		return err
	}
	if c.AnyOutcome || summary.Good() {
		return nil
	}
	return &failure{exitNotAccepted, fmt.Errorf("%d of %d lines were not accepted", summary.Lines-summary.Counts[backfill.OutcomeAccepted]-summary.Counts[backfill.OutcomeDuplicate], summary.Lines)}
}

// write makes the file whole before it takes its name.
func (c *reportCmd) write(ctx context.Context, std streams, desk *desk, m *storedManifest, run backfill.Run) (s backfill.Summary, err error) {
	if c.Out == "-" {
		return c.account(ctx, std.out, desk, m, run)
	}
	file, err := os.CreateTemp(filepath.Dir(c.Out), ".chartpost-report-*")
	if err != nil {
		return s, fmt.Errorf("--out: %w", cause(err))
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
		return s, fmt.Errorf("--out: %w", cause(err))
	}
	if err := c.free(); err != nil { // it may have taken long
		return s, usage(err)
	}
	if err := os.Rename(file.Name(), c.Out); err != nil {
		return s, fmt.Errorf("--out: %w", cause(err))
	}
	return s, nil
}

// outFile is where --out goes; its errors say so.
type outFile struct{ io.Writer }

func (o outFile) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("--out: %w", cause(err))
	}
	return n, err
}

// account writes the rows, and sums them up.
func (c *reportCmd) account(ctx context.Context, out io.Writer, desk *desk, m *storedManifest, run backfill.Run) (s backfill.Summary, err error) {
	sum := sha256.New()
	size := &counter{}
	buffered := bufio.NewWriterSize(io.MultiWriter(outFile{out}, sum, size), 64<<10)
	write, end := c.rows(buffered)
	delivery, err := outcome.Deliveries(ctx, desk.queue, run.StartedAt)
	if err != nil {
		return s, err
	}
	each := func(r backfill.Row) error {
		if r.Outcome == backfill.OutcomeAccepted {
			r.Delivery = delivery(r.JobID)
		}
		return write(r)
	}
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

// reportColumns are those of a report in CSV.
var reportColumns = []string{
	"line", "job_id", "outcome", "reason", "path", "attempts", "possible_duplicate", "size", "sha256", "log_ids", "location", "accepted_at", "ended_at", "delivery",
}

// rows gives the writer of rows, and of their end.
func (c *reportCmd) rows(w io.Writer) (each func(backfill.Row) error, end func() error) {
	if c.OutFormat == "ndjson" || c.OutFormat == "auto" && strings.HasSuffix(c.Out, "json") {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(r backfill.Row) error { return encoder.Encode(r) }, func() error { return nil }
	}
	out := csv.NewWriter(w)
	headed := out.Write(reportColumns)
	return func(r backfill.Row) error {
			return errors.Join(headed, out.Write([]string{
				strconv.FormatInt(r.Line, 10), r.JobID, string(r.Outcome), r.Reason, r.Path, strconv.Itoa(r.Attempts), strconv.FormatBool(r.PossibleDuplicate),
				positive(r.Size), strings.Join(r.SHA256, " "), strings.Join(r.LogIDs, " "), r.Location, instant(r.AcceptedAt), instant(r.EndedAt), string(r.Delivery),
			}))
		}, func() error {
			out.Flush()
			return out.Error()
		}
}

func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func (c *reportCmd) print(out io.Writer, s backfill.Summary) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "run\t%s\t%s\n", s.Run, s.State)
	fmt.Fprintf(w, "manifest\t%d bytes\tsha256 %s\n", s.Manifest.Size, s.Manifest.SHA256)
	if s.Template != nil {
		fmt.Fprintf(w, "template\t%d bytes\tsha256 %s\n", s.Template.Size, s.Template.SHA256)
	}
	if s.Only != nil {
		fmt.Fprintf(w, "only-failed\t%d bytes\tsha256 %s\n", s.Only.Size, s.Only.SHA256)
	}
	fmt.Fprintf(w, "report\t%d bytes\tsha256 %s\n\nOUTCOME\tLINES\n", s.Report.Size, s.Report.SHA256)
	for _, ended := range backfill.Outcomes() {
		fmt.Fprintf(w, "%s\t%d\n", ended, s.Counts[ended])
	}
	fmt.Fprintf(w, "all\t%d\n", s.Lines)
	return w.Flush()
}

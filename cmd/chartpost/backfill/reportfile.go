package backfill

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/report"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/outcome/told"
)

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
	write, end := report.Rows(buffered, c.OutFormat == "ndjson" || c.OutFormat == "auto" && strings.HasSuffix(c.Out, "json"))
	delivery, err := told.Deliveries(ctx, desk.queue, run.StartedAt)
	if err != nil {
		return s, err
	}
	each := func(r backfill.Row) error {
		if r.Outcome == backfill.OutcomeAccepted {
			r.Delivery = delivery(r.JobID)
		}
		return write(r)
	}
	account := desk.account(run)
	account.Open, account.Goroutines = m.Open, runtime.GOMAXPROCS(0)
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
	s = summaryOf(run, tally)
	s.Report = &backfill.Source{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size.n}
	return s, nil
}

// account reads the records of a run.
func (d *desk) account(run backfill.Run) backfill.Account {
	return backfill.Account{
		Ports: backfill.Ports{Bucket: d.runs, Ledger: d.queue.RunLedger(), Events: d.queue.RunEvents()},
		Run:   run,
	}
}

func summaryOf(run backfill.Run, t backfill.Tally) backfill.Summary {
	return backfill.Summary{
		Run: run.ID, State: run.State.Shown(t), Manifest: run.Manifest, Template: run.Template, Only: run.Only, Tally: t,
	}
}

// counter counts bytes.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

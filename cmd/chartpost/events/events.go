// Package events has the commands for events.
package events

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
)

// Cmd are the commands for the events that are there, and for those who read
// them.
type Cmd struct {
	Export        exportCmd        `cmd:"" help:"Write the events of a time to a file or to standard output."`
	Subscribe     subscribeCmd     `cmd:"" help:"Make a subscription, from which a watcher reads events."`
	Subscriptions subscriptionsCmd `cmd:"" help:"List the subscriptions, what waits in them, and when they were last used."`
	Unsubscribe   unsubscribeCmd   `cmd:"" help:"Remove a subscription."`
}

type exportCmd struct {
	filter        `embed:""`
	cli.TimeFlags `embed:"" group:"Events"`

	FromSeq uint64   `placeholder:"N" help:"From this sequence of the stream on: one more than the last that was exported." group:"Events" percall:""`
	Format  string   `default:"ndjson" enum:"ndjson,csv" placeholder:"ndjson" help:"ndjson (one JSON object a line) or csv." group:"Export" percall:""`
	Out     string   `short:"o" type:"path" placeholder:"FILE" help:"File to write; it must not be there yet, unless --resume. Empty is standard output." group:"Export" percall:""`
	Resume  bool     `help:"Go on behind the last whole line of --out." group:"Export" percall:""`
	NATS    app.NATS `embed:"" group:"NATS"`

	// behind tells that lines are there already.
	behind bool
}

// Help adds to the command's --help.
func (exportCmd) Help() string {
	return `Examples:

  chartpost events export --since 24h --final -o yesterday.ndjson
  chartpost events export --since 2026-11-01 --until 2026-12-01 \
      --format csv -o november.csv
  chartpost events export --since 2026-11-01 -o november.ndjson --resume
  chartpost events export --status failed --from-seq 48213 | jq .event.data

It ends at the last event that was there when it began, and takes the same memory for a thousand events as for a billion. A line has the event's sequence in the stream and, in ndjson, the event as it was published; in csv a column for each field. The last line on standard error says with which --from-seq to go on. Events older than --events-age are gone.`
}

func (c *exportCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.filter.check(), c.Parse(time.Now())}
	if c.Resume && c.Out == "" {
		faults = append(faults, errors.New("--resume: needs --out"))
	}
	if c.Resume && c.FromSeq > 0 {
		faults = append(faults, errors.New("--resume: finds its own --from-seq"))
	}
	return errors.Join(faults...)
}

func (c *exportCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "export", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	out, close, err := c.open(std)
	if err != nil {
		return cli.Usage(err)
	}
	err = c.export(ctx, std, queue, out)
	return errors.Join(err, close())
}

// open gives where to write, and moves FromSeq behind what is there.
func (c *exportCmd) open(std cli.Streams) (w io.Writer, close func() error, err error) {
	if c.Out == "" {
		return std.Out, func() error { return nil }, nil
	}
	flag := os.O_RDWR | os.O_CREATE
	if !c.Resume {
		flag |= os.O_EXCL
	}
	file, err := os.OpenFile(c.Out, flag, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--out: %w", cli.Cause(err))
	}
	if c.Resume {
		last, err := resumeAt(file, c.Format)
		if err != nil {
			file.Close()
			return nil, nil, fmt.Errorf("--resume: %w", err)
		}
		if last > 0 {
			c.FromSeq, c.behind = last+1, true
		}
	}
	return file, file.Close, nil
}

// exportFlush is the most that is lost of a file when the process is killed.
const exportFlush = 64 << 10

func (c *exportCmd) export(ctx context.Context, std cli.Streams, queue *natsq.Conn, out io.Writer) error {
	buffer := bufio.NewWriterSize(out, exportFlush)
	lines := lineWriter(c.Format, buffer, !c.behind)
	var n int
	var last uint64
	var written error
	of := natsq.EventRange{EventSelection: c.selection(), FromSequence: c.FromSeq, Since: c.From, Until: c.Before}
	unreadable, err := queue.Events(ctx, of, func(e natsq.StoredEvent, data []byte) bool {
		if c.wants(e.Event.Data) && c.Within(e.Stored) {
			if written = lines(e, data); written == nil {
				n, last = n+1, e.Sequence
			}
		}
		return written == nil
	})
	if errors.Is(err, natsq.ErrBeyond) {
		return cli.Usage(fmt.Errorf("--from-seq %d: %w; export it from its start to another file", c.FromSeq, err))
	}
	if written == nil {
		written = buffer.Flush()
	}
	if err = errors.Join(err, written); err != nil {
		err = fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	fmt.Fprintf(std.Err, "exported %d events", n)
	if next := max(last+1, c.FromSeq); next > 1 && written == nil {
		fmt.Fprintf(std.Err, "; go on with --from-seq %d", next)
	}
	fmt.Fprintln(std.Err)
	if unreadable > 0 {
		fmt.Fprintf(std.Err, "%d messages are no events and were left out\n", unreadable)
	}
	return err
}

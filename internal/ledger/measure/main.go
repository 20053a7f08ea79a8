// Command measure fills a ledger with the records of jobs that have ended, and
// prints what it costs a genuine nats-server: memory and disk, the time of a
// restart after kill -9, and the time of a lookup.
//
//	go run ./internal/ledger/measure -records 10000000 -dir /tmp/ledger
//	go run ./internal/ledger/measure -records 10000000 -dir /tmp/ledger -plain
//
// The server runs as deployed (sync_interval: always), except while the ledger is
// filled. -plain leaves all records in the bucket. Otherwise most of them are put
// into the archive by passes of a compactor which reads them from a generator, and
// the last ones go through the bucket.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
)

func main() {
	var m measurement
	flag.IntVar(&m.records, "records", 100_000, "how many records of jobs that have ended there are")
	flag.IntVar(&m.pass, "pass", 90_000, "how many records a pass of the compactor archives; 90,000 are an hour at 25 jobs a second")
	flag.StringVar(&m.dir, "dir", filepath.Join(os.TempDir(), "ledger-measure"), "folder for the server's files; it is removed before and after")
	flag.BoolVar(&m.plain, "plain", false, "leave all records in the bucket")
	flag.StringVar(&m.limit, "limit", "", "GOMEMLIMIT of the server, such as 768MiB; empty is none")
	flag.IntVar(&padding, "padding", 0, "random bytes to add to each record: fewer records then fill as many of the server's blocks")
	flag.DurationVar(&m.each, "each", 2*time.Minute, "how long each kind of lookup is made, at 25 a second")
	flag.DurationVar(&m.rest, "rest", 150*time.Second, "how long the server rests before its memory is read: it collects garbage every two minutes")
	flag.Parse()
	ctx := context.Background()
	if err := m.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// measurement is what is to be measured, and the server that it is measured on.
type measurement struct {
	records, pass int
	dir, limit    string
	plain         bool
	each, rest    time.Duration
	server        *server
	queue         *natsq.Conn
}

// layout is that of chartpost setup.
var layout = natsq.Layout{
	Replicas: 1, EventsAge: 30 * 24 * time.Hour, DeadAge: 90 * 24 * time.Hour, AuditAge: 400 * 24 * time.Hour,
	LedgerAge: endedAge, LedgerOpenAge: 90 * 24 * time.Hour, Duplicates: 10 * time.Minute,
}

const endedAge = 14 * 24 * time.Hour

func (m *measurement) run(ctx context.Context) (err error) {
	if err := os.RemoveAll(m.dir); err != nil {
		return err
	}
	defer os.RemoveAll(m.dir)
	if m.server, err = newServer(ctx, m.dir, m.limit); err != nil {
		return err
	}
	defer m.server.kill()
	if err := m.start(ctx, false); err != nil {
		return err
	}
	if _, err := m.queue.Setup(ctx, layout); err != nil {
		return err
	}
	if err := m.watched("filling", func() error { return m.fill(ctx) }); err != nil {
		return err
	}
	time.Sleep(m.rest)
	if err := m.size("after filling"); err != nil {
		return err
	}
	m.queue.Close()
	m.server.kill()
	began := time.Now()
	if err := m.start(ctx, true); err != nil {
		return err
	}
	fmt.Printf("ready after kill -9: %.1f s\n", time.Since(began).Seconds())
	time.Sleep(m.rest)
	if err := m.size("after the restart"); err != nil {
		return err
	}
	return m.lookUps(ctx)
}

// start starts the server and connects; ready is when the ledger's streams answer.
func (m *measurement) start(ctx context.Context, synced bool) error {
	if err := m.server.start(synced); err != nil {
		return err
	}
	for {
		queue, err := natsq.Connect(natsq.Config{URL: m.server.url, Prefix: "chartpost", Name: "measure"}, slog.New(slog.DiscardHandler))
		if err == nil {
			m.queue = queue
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !synced {
		return nil
	}
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err := m.queue.Ledger(try)
		if err == nil {
			store, _ := m.queue.ArchivePorts()
			_, err = store.Age(try)
		}
		cancel()
		if err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// size prints what the server holds.
func (m *measurement) size(when string) error {
	memory, err := m.server.memory()
	if err != nil {
		return err
	}
	disk, err := m.server.disk()
	if err != nil {
		return err
	}
	fmt.Printf("%s: memory %.0f MB, %.3f kB per record; disk %.0f MB, %.2f kB per record\n", when,
		memory/1e6, memory/1e3/float64(m.records), disk/1e6, disk/1e3/float64(m.records))
	return nil
}

// watched does something and prints how long it took and the most memory the
// server had.
func (m *measurement) watched(what string, do func() error) error {
	most := m.server.watch()
	began := time.Now()
	err := do()
	fmt.Printf("%s: %.0f s, memory %.0f MB at most\n", what, time.Since(began).Seconds(), most()/1e6)
	return err
}

// openLedger opens the ledger as a worker does.
func (m *measurement) openLedger(ctx context.Context) (*ledger.Ledger, error) {
	bucket, err := m.queue.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	return ledger.New(bucket, ledger.Patience), nil
}

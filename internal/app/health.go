package app

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"

	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/natsq"
)

// HTTP says where a worker answers questions about itself.
type HTTP struct {
	Addr string `name:"http-addr" placeholder:"HOST:PORT" help:"Where to answer /healthz, /readyz and /metrics over plain HTTP, like 127.0.0.1:8080 or :8080; empty is nowhere. Whoever reaches it may ask."`
}

// Check reports every fault of the settings.
func (h HTTP) Check() error {
	var f faults
	if h.Addr == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(h.Addr); err != nil || port == "" {
		f.add("http-addr", "must be HOST:PORT or :PORT")
	}
	return f.join()
}

// serve answers about the process until everything else is closed. Without an
// address it does nothing.
func (h HTTP) serve(ctx context.Context, about *health.Health, open *stack, log *slog.Logger) error {
	if h.Addr == "" {
		return nil
	}
	server, err := health.Listen(ctx, h.Addr, about, log)
	if err != nil {
		return err
	}
	open.push("http", server.Close)
	log.Info("answering /healthz, /readyz and /metrics", "http", server.Addr())
	return nil
}

// aboutQueue makes the answers depend on the queue, which is asked after until
// everything is closed.
func aboutQueue(about *health.Health, queue *natsq.Conn, open *stack) {
	about.Live("nats", queue.Alive)
	about.Add("nats", func() health.Check { return queueCheck(queue.Troubles()) })
	ctx, cancel := context.WithCancel(context.Background())
	var attending sync.WaitGroup
	attending.Go(func() { queue.Attend(ctx) })
	open.push("nats watch", func() error { cancel(); attending.Wait(); return nil })
}

func queueCheck(troubles []natsq.Trouble) health.Check {
	if len(troubles) == 0 {
		return health.Check{OK: true}
	}
	var texts []string
	for _, t := range troubles {
		texts = append(texts, t.Text)
	}
	return health.Check{Since: troubles[0].Since, Text: strings.Join(texts, "; ")}
}

package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
)

// queueTime is how long a command tries what takes one answer of the queue.
const queueTime = 30 * time.Second

// connect connects a command to the queue; the error says what a person can do.
func connect(n app.NATS, name string, log *slog.Logger) (*natsq.Conn, error) {
	queue, err := app.Queue(n, name, log)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, adviceNATS)
	}
	return queue, nil
}

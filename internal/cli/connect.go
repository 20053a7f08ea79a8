package cli

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
)

// QueueTime is how long a command tries what takes one answer of the queue.
const QueueTime = 30 * time.Second

// Connect connects a command to the queue; the error says what a person can do.
func Connect(n app.NATS, name string, log *slog.Logger) (*natsq.Conn, error) {
	queue, err := app.Queue(n, name, log)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, AdviceNATS)
	}
	return queue, nil
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/natsq"
)

// indexing adds to the job index what has come since, as long as this worker is the one of
// the fleet that does such things, until end is called. Delivery does not need the index:
// what goes wrong with it is said, and tried again.
func indexing(queue *natsq.Conn, intake *natsq.Intake, log *slog.Logger) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var passes sync.WaitGroup
	passes.Go(func() {
		told := indexLog{ctx: ctx, log: log}
		queue.Index().Run(ctx, jobindex.DefaultPace, intake.HasTenure, told.pass)
	})
	return func() error { cancel(); passes.Wait(); return nil }
}

// indexLog says what becomes of the index, and the same trouble once in a while.
type indexLog struct {
	ctx    context.Context
	log    *slog.Logger
	trying string
	said   time.Time
}

// sayAgain is after how long a trouble that goes on is said again.
const sayAgain = 10 * time.Minute

func (l *indexLog) pass(p jobindex.Pass, err error) {
	switch {
	case l.ctx.Err() != nil:
	case err == nil:
		if l.trying = ""; p.Segments > 0 {
			l.log.Info("events are in the job index", "events", p.Events, "segments", p.Segments, "bytes", p.Bytes)
		}
	case l.trying == err.Error() && time.Since(l.said) < sayAgain:
	case errors.Is(err, natsq.ErrNoIndex):
		l.note(err)
		l.log.Warn("jobs are delivered, but they are not indexed", "error", err)
	default:
		l.note(err)
		l.log.Warn("the job index could not be brought up to date; it is tried again", "error", err)
	}
}

func (l *indexLog) note(err error) { l.trying, l.said = err.Error(), time.Now() }

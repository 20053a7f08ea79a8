package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/internal/natsq"
)

// archiving moves the records of jobs that were accepted out of the ledger's bucket, as
// long as this worker is the one of the fleet that does such things, until end is
// called.
func archiving(queue *natsq.Conn, intake *natsq.Intake, log *slog.Logger) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var passes sync.WaitGroup
	passes.Go(func() {
		queue.Archive(ledger.Accepted, 0, 0).Run(ctx, func(context.Context) bool { return intake.HasTenure() }, func(p archive.Pass, err error) {
			switch {
			case ctx.Err() != nil:
			case err != nil:
				log.Warn("the ledger's archive could not take all records; it is tried again", "error", err)
			case p.Archived+p.Removed > 0:
				log.Info("records of accepted jobs are in the ledger's archive", "jobs", p.Archived)
			}
		})
	})
	return func() error { cancel(); passes.Wait(); return nil }
}

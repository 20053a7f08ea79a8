package backfill

import (
	"context"
	"errors"
	"io"
)

// askLedger reads the manifest once more and notes how those jobs ended that
// are in flight as far as the events tell.
func (f *Feeder) askLedger(ctx context.Context) error {
	opened, err := f.Open(ctx)
	if err != nil {
		return err
	}
	defer opened.Close()
	maker := opened.Recipe.Maker()
	var some []Job
	for {
		record, err := opened.Reader.Next()
		if errors.Is(err, io.EOF) {
			return f.noteEnded(ctx, some)
		}
		if err != nil {
			return err
		}
		if f.book.Line(record.Number) != Fed {
			continue
		}
		line := maker.Make(record)
		if len(line.Faults) > 0 {
			return ErrManifest
		}
		data, err := label(line.Data, line.Job, f.Run.ID, line.Number)
		if err != nil {
			return err
		}
		some = append(some, Job{Line: line.Number, ID: line.Job.ID, Data: data})
		if len(some) < chunkJobs {
			continue
		}
		if err := f.noteEnded(ctx, some); err != nil {
			return err
		}
		some = some[:0]
	}
}

func (f *Feeder) noteEnded(ctx context.Context, some []Job) error {
	ids := make([]string, len(some))
	for i, job := range some {
		ids[i] = job.ID
	}
	records, err := f.Ledger.Records(ctx, ids, false)
	if err != nil {
		return err
	}
	for _, job := range some {
		record := recordOf(records[job.ID])
		if record == nil || record.Digest != digestOf(job.Data) {
			continue
		}
		if state := ofPhase(record.Phase); state.Ended() {
			f.book.mark(job.Line, state)
		}
	}
	return nil
}

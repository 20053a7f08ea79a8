package backfill

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// search finds the ends of jobs that no event told of: one may have been removed
// before anybody read it, and its line would keep its place in the lane.
type search struct{ *Feeder }

const (
	// askEvery is how often the ledger is asked of the jobs in flight; askShare
	// keeps that to a twentieth of the time where the manifest is long.
	askEvery = 2 * time.Minute
	askShare = 20
)

// run looks until ctx ends.
func (s *search) run(ctx context.Context) error {
	for pause := askEvery; ; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		began := time.Now()
		if err := s.askLedger(ctx); err != nil {
			return err
		}
		pause = max(askEvery, time.Since(began)*askShare)
	}
}

// askLedger reads the manifest once more, up to the last job in flight, and notes
// how those ended that are in flight as far as the events tell.
func (s *search) askLedger(ctx context.Context) error {
	last := s.book.lastFed()
	if last == 0 {
		return nil
	}
	opened, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer opened.Close()
	maker := opened.Recipe.Maker()
	var some []Job
	for {
		record, err := opened.Reader.Next()
		if errors.Is(err, io.EOF) || err == nil && record.Number > last {
			return s.noteEnded(ctx, some)
		}
		if err = errOr(err, context.Cause(ctx)); err != nil {
			return err
		}
		if s.book.Line(record.Number) != Fed {
			continue
		}
		line := maker.Make(record)
		if len(line.Faults) > 0 {
			return ErrManifest
		}
		data, err := label(line.Data, line.Job, s.Run.ID, line.Number)
		if err != nil {
			return err
		}
		some = append(some, Job{Line: line.Number, ID: line.Job.ID, Data: data})
		if len(some) < chunkJobs {
			continue
		}
		if err := s.noteEnded(ctx, some); err != nil {
			return err
		}
		some = some[:0]
	}
}

func (s *search) noteEnded(ctx context.Context, some []Job) error {
	if len(some) == 0 {
		return nil
	}
	ids := make([]string, len(some))
	for i, job := range some {
		ids[i] = job.ID
	}
	records, err := s.Ledger.Records(ctx, ids, false)
	if err != nil {
		return err
	}
	for _, job := range some {
		record := recordOf(records[job.ID])
		if record == nil || record.Digest != digestOf(job.Data) {
			continue
		}
		if state := ofPhase(record.Phase); state.Ended() {
			s.book.mark(job.Line, state)
		}
	}
	return nil
}

// oneByOne opens a manifest for one reader after the other: a feeder has two.
func oneByOne(open func(context.Context) (*Opened, error)) func(context.Context) (*Opened, error) {
	var mu sync.Mutex
	return func(ctx context.Context) (*Opened, error) {
		mu.Lock()
		defer mu.Unlock()
		return open(ctx)
	}
}

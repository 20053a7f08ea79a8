package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// search finds the ends of jobs that no event told of: one may have been removed
// before anybody read it, and its line would keep its place in the lane. It finds
// too the jobs of which nothing is left.
type search struct {
	*Feeder
	// searched is when the queue was last looked through.
	searched time.Time
	// outside has Fed for the lines in flight whose jobs the queue does not have;
	// nil where it was not looked through.
	outside []LineState
	// before and absent are the lines whose jobs were nowhere, at the last time
	// that the queue was looked through and at this one.
	before, absent map[int64]bool
	lost           int
}

const (
	// askEvery is how often the ledger is asked of the jobs in flight; askShare
	// keeps that to a twentieth of the time where manifest or queue are long.
	askEvery = 2 * time.Minute
	askShare = 20
	// lostEvery is how often the queue is looked through. A job is lost that is
	// nowhere at two such times: a server may answer for a moment that has been
	// replaced and does not know so yet.
	lostEvery = 10 * time.Minute
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
		if err := s.look(ctx); err != nil {
			return err
		}
		pause = max(askEvery, time.Since(began)*askShare)
	}
}

// look asks the ledger, and from time to time the queue before it. In that order a
// job that is in flight is found: it is in the queue when its line becomes Fed, and
// a worker writes it into the ledger before it takes it out, where it stays also
// while a schedule holds it.
func (s *search) look(ctx context.Context) error {
	s.outside = nil
	if time.Since(s.searched) >= lostEvery && s.book.lastFed() > 0 {
		s.outside = s.book.states()
		err := s.Queue.Queued(ctx, s.Run.ID, func(line int64) {
			if line < int64(len(s.outside)) {
				s.outside[line] = Unfed
			}
		})
		if err != nil {
			return err
		}
		s.searched, s.before, s.absent, s.lost = time.Now(), s.absent, map[int64]bool{}, 0
	}
	if err := s.askLedger(ctx); err != nil {
		return err
	}
	if s.outside != nil && s.lost > 0 {
		s.Say(fmt.Sprintf("%d jobs are neither in the queue nor in the ledger, and no event tells how they ended: their lines are unknown, with the reason %s", s.lost, reasonLost))
	}
	return nil
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
		some = append(some, Job{Line: line.Number, ID: line.Job.ID, Destination: line.Job.Destination.Address(), Data: data})
		if len(some) < chunkJobs {
			continue
		}
		if err := s.noteEnded(ctx, some); err != nil {
			return err
		}
		some = some[:0]
	}
}

// noteEnded notes what the ledger knows of some jobs in flight.
func (s *search) noteEnded(ctx context.Context, some []Job) error {
	unknown, err := s.note(ctx, some, false)
	if err != nil || s.outside == nil {
		return err
	}
	unknown = slices.DeleteFunc(unknown, func(job Job) bool { return s.outside[job.Line] != Fed })
	if unknown, err = s.note(ctx, unknown, true); err != nil {
		return err
	}
	for _, job := range unknown {
		if s.before[job.Line] {
			s.book.mark(job.Line, Lost)
			s.lost++
		} else {
			s.absent[job.Line] = true
		}
	}
	return nil
}

// note notes how jobs ended, and gives those of which the ledger does not know.
func (s *search) note(ctx context.Context, some []Job, newest bool) (unknown []Job, err error) {
	if len(some) == 0 {
		return nil, nil
	}
	keys := make([]schemas.JobKey, len(some))
	for i, job := range some {
		keys[i] = job.Key()
	}
	records, err := s.Ledger.Records(ctx, keys, newest)
	if err != nil {
		return nil, err
	}
	for _, job := range some {
		record := recordOf(records[job.Key()])
		if record == nil || record.Digest != digestOf(job.Data) {
			unknown = append(unknown, job)
		} else if state := ofPhase(record.Phase); state.Ended() {
			s.book.mark(job.Line, state)
		}
	}
	return unknown, nil
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

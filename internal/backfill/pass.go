package backfill

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// pass reads the manifest once and publishes what there is room for. again says
// that there are lines left for another pass.
func (f *Feeder) pass(outer context.Context) (again bool, err error) {
	opened, err := f.Open(outer)
	if err != nil {
		return false, err
	}
	defer opened.Close()
	ctx, stop := context.WithCancelCause(outer)
	chunks, done := make(chan []Job), make(chan struct{})
	go func() {
		defer close(done)
		for chunk := range chunks {
			if err := f.publish(ctx, chunk); err != nil {
				stop(err)
				return
			}
		}
	}()
	p := &passing{Feeder: f, maker: opened.Recipe.Maker(), chunks: chunks}
	again, err = p.read(ctx, opened.Reader)
	if err == nil {
		err = p.flush(ctx)
	}
	close(chunks)
	<-done
	err = errOr(context.Cause(ctx), err)
	stop(nil)
	f.book.unclaim()
	if err != nil || !again {
		return false, err
	}
	return true, f.book.await(outer, func() bool {
		state := f.state.Load()
		return state == Cancelled || f.feeding() && f.book.worthwhile()
	})
}

// passing is where a pass has come to.
type passing struct {
	*Feeder
	maker  *manifest.Maker
	chunks chan<- []Job
	chunk  []Job
	bytes  int
}

func (p *passing) read(ctx context.Context, r *manifest.Reader) (again bool, err error) {
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			if sum, _ := r.Digest(); sum != p.Run.Manifest.SHA256 {
				return false, ErrManifest
			}
			return again, nil
		}
		if err != nil {
			return false, err
		}
		switch chosen, err := p.choose(ctx, record.Number); {
		case err != nil:
			return false, err
		case chosen == skip:
			continue
		case chosen == later:
			again = true
			continue
		case chosen == wait: // the run was cancelled
			return false, nil
		}
		if err := p.add(ctx, p.maker.Make(record)); err != nil {
			return false, err
		}
		if err := p.countPilot(ctx); err != nil {
			return false, err
		}
	}
}

// choose decides about a line, and waits until that can be decided. It is wait
// where nothing will be published any more.
func (p *passing) choose(ctx context.Context, line int64) (choice, error) {
	var chosen choice
	decided := func() bool {
		if p.state.Load() == Cancelled {
			chosen = wait
			return true
		}
		if !p.feeding() {
			return false
		}
		chosen = p.book.choose(line, p.Outstanding)
		return chosen != wait
	}
	if decided() {
		return chosen, nil
	}
	if err := p.flush(ctx); err != nil {
		return wait, err
	}
	err := p.book.await(ctx, decided)
	return chosen, err
}

// add makes a job of a line and publishes what has come together.
func (p *passing) add(ctx context.Context, line manifest.Line) error {
	if len(line.Faults) > 0 {
		return ErrManifest
	}
	data, err := label(line.Data, line.Job, p.Run.ID, line.Number)
	if err != nil {
		return err
	}
	p.chunk = append(p.chunk, Job{
		Line: line.Number, ID: line.Job.ID, Destination: line.Job.Destination.Address(), Data: data, deadline: line.Job.Deadline(),
	})
	p.bytes += len(data)
	if len(p.chunk) < chunkJobs && p.bytes < chunkBytes {
		return nil
	}
	return p.flush(ctx)
}

// countPilot pauses the run behind the last job of its pilot.
func (p *passing) countPilot(ctx context.Context) error {
	if p.Pilot == 0 {
		return nil
	}
	if p.Pilot--; p.Pilot > 0 {
		return nil
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	if err := p.book.await(ctx, p.book.published); err != nil {
		return err
	}
	return p.pause(ctx, "its feeder: the pilot is published")
}

// flush hands the jobs to the publisher.
func (p *passing) flush(ctx context.Context) error {
	if len(p.chunk) == 0 {
		return nil
	}
	select {
	case p.chunks <- p.chunk:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.chunk, p.bytes = nil, 0
	return nil
}

// publish publishes those jobs of which the ledger does not know that they are on
// their way, or at their end, already.
func (f *Feeder) publish(ctx context.Context, chunk []Job) error {
	err := f.book.await(ctx, func() bool { return f.state.Load() == Cancelled || f.feeding() })
	if err != nil || f.state.Load() == Cancelled {
		return err
	}
	keys, last, first := make([]schemas.JobKey, len(chunk)), int64(0), chunk[0].Line
	for i, job := range chunk {
		keys[i], last = job.Key(), max(last, job.Line)
	}
	records, err := f.Ledger.Records(ctx, keys, first <= f.work.doubt)
	if err != nil {
		return err
	}
	chunk = slices.DeleteFunc(chunk, func(job Job) bool {
		state := known(recordOf(records[job.Key()]), digestOf(job.Data))
		if state != Unfed {
			f.book.mark(job.Line, state)
		}
		return state != Unfed || f.overdue(job)
	})
	if len(chunk) == 0 {
		return nil
	}
	if err := f.lease.announce(ctx, last); err != nil {
		return err
	}
	if err := f.send(ctx, chunk); err != nil {
		f.work.doubt = max(f.work.doubt, last)
		return err
	}
	for _, job := range chunk {
		f.book.mark(job.Line, Fed)
	}
	return nil
}

func (f *Feeder) send(ctx context.Context, chunk []Job) error {
	ctx, cancel := linger(ctx)
	defer cancel()
	return f.Queue.Publish(ctx, f.Run.ID, chunk, func() error { return f.lease.proceed(ctx) })
}

package manifest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
)

// A batch is what one goroutine takes at once: enough to cost nothing, little
// enough to be had in number.
const (
	batchRecords = 64
	batchBytes   = 64 << 10
)

type batch[T any] struct {
	records []Record
	results []T
	// last tells that the manifest ends with the batch; err, that it was not
	// read any further.
	last bool
	err  error
	done chan struct{}
}

// Each makes the job of every line, on several goroutines, and gives what keep
// makes of each, in the manifest's order. keep runs on those goroutines, and
// line.Data is valid within it alone. An error is of the reading, is the last
// thing given, and says that the manifest was not read to its end.
func Each[T any](ctx context.Context, r *Reader, recipe *Recipe, goroutines int, keep func(Line) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		defer all.Wait()
		defer stop()
		work := make(chan *batch[T])
		order := make(chan *batch[T], 2*goroutines)
		all.Go(func() { readBatches(ctx, r, work, order) })
		for range goroutines {
			all.Go(func() {
				maker := recipe.Maker()
				for b := range work {
					for _, record := range b.records {
						b.results = append(b.results, keep(maker.Make(record)))
					}
					close(b.done)
				}
			})
		}
		for b := range order {
			<-b.done
			for _, result := range b.results {
				if !yield(result, nil) {
					return
				}
			}
			if b.last {
				return
			}
			if b.err != nil {
				yield(*new(T), b.err)
				return
			}
		}
		yield(*new(T), context.Cause(ctx))
	}
}

// readBatches feeds work, and order with the same batches, until the manifest
// ends.
func readBatches[T any](ctx context.Context, r *Reader, work, order chan<- *batch[T]) {
	defer close(order)
	defer close(work)
	for {
		b := &batch[T]{done: make(chan struct{})}
		b.err = b.read(ctx, r)
		end := b.err
		if b.last = errors.Is(end, io.EOF); b.last {
			b.err = nil
		}
		b.results = make([]T, 0, len(b.records))
		// A batch in order is one in work: nobody waits for what nobody does.
		select {
		case work <- b:
		case <-ctx.Done():
			return
		}
		select {
		case order <- b:
		case <-ctx.Done():
			return
		}
		if end != nil {
			return
		}
	}
}

func (b *batch[T]) read(ctx context.Context, r *Reader) error {
	for size := 0; len(b.records) < batchRecords && size < batchBytes; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		record, err := r.Next()
		if err != nil {
			return err
		}
		size += len(record.raw)
		record.raw = bytes.Clone(record.raw)
		b.records = append(b.records, record)
	}
	return nil
}

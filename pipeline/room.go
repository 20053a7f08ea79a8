package pipeline

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// parsedAtOnce bounds the memory, in bytes, of all messages that are in parsed form at
// one moment. A message is in that form only while it is read or composed, which waits
// for nothing: whoever waits for room waits for the processor.
const parsedAtOnce = 20 << 20

// parsedSize is how much larger than its text a message can be in parsed form: one of
// 100,000 values in 1 MB takes 17 MB.
const parsedSize = 20

// room is the memory for messages in parsed form.
type room struct{ bytes *semaphore.Weighted }

func newRoom() room { return room{semaphore.NewWeighted(parsedAtOnce)} }

// use calls do when there is room for a message of a size. One for which the whole
// room is too small has it alone.
func (r room) use(size int, do func() error) error {
	weight := min(int64(size)*parsedSize, parsedAtOnce)
	if err := r.bytes.Acquire(context.Background(), weight); err != nil {
		return err
	}
	defer r.bytes.Release(weight)
	return do()
}

package told

import (
	"context"
	"errors"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/schemas"
)

// Read reads the bucket of a follower.
func Read(ctx context.Context, queue *natsq.Conn) (*outcome.View, error) {
	bucket, err := queue.Outcomes(ctx)
	if err != nil {
		return nil, err
	}
	v := &outcome.View{}
	var faults []error
	err = bucket.All(ctx, "", func(key string, value []byte, _ uint64) { faults = append(faults, v.Add(key, value)) })
	return v, errors.Join(append(faults, err)...)
}

// Counted gives what counting Redox's logs has shown of a held job: nothing where
// outcomes are not followed.
func Counted(ctx context.Context, queue *natsq.Conn) func(schemas.JobKey) string {
	v, err := Read(ctx, queue)
	if err != nil {
		return func(schemas.JobKey) string { return "" }
	}
	return func(job schemas.JobKey) string {
		code, text, ok := v.HeldNote(job)
		if !ok {
			return ""
		}
		return code + ": " + text
	}
}

package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// SharedBudget opens the budget's record of a scope in a bucket outside of every
// prefix, which the deployments behind one egress address share.
func (c *Conn) SharedBudget(ctx context.Context, bucket, scope string) (*BudgetRecord, error) {
	kv, err := c.bucket(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("%w; make it by: chartpost setup --budget-bucket %s", err, bucket)
	}
	if err != nil {
		return nil, err
	}
	return &BudgetRecord{cell{bucket: kv, key: "budget." + schemas.Token(scope)}}, nil
}

// SetupSharedBudget makes the bucket of SharedBudget. One that is there stays as
// it is: another deployment made it. dry only tells what would be done.
func (c *Conn) SetupSharedBudget(ctx context.Context, bucket string, replicas int, dry bool) (Change, error) {
	cfg := bucketConfig(bucket, "Chartpost: request budgets that deployments share", 0, replicas)
	change := Change{Name: strings.TrimPrefix(cfg.Name, bucketPrefix), Did: "unchanged"}
	_, err := c.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		change.Did, err = "created", nil
		if !dry {
			_, err = c.js.CreateStream(ctx, cfg)
		}
	}
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", titleOf(cfg.Name), err)
	}
	return change, nil
}
